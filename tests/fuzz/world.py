"""Who sends, and what is there to be hit."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from tests.factories import (
    ContactFactory,
    CostFactory,
    DocumentFactory,
    EmergencyContactFactory,
    HealthRecordFactory,
    PassengerFactory,
    PassportFactory,
    PaymentFactory,
    StaffFactory,
    TripFactory,
    UserFactory,
)
from tests.fuzz.requests import Chance, Sent
from trips.services import paper_runs, rooming

APPS = ("trips", "ghl_sync", "auth", "axes", "django_q", "admin")


class World:
    """Some rows of each kind, and one client for each kind of user. A view's error is an answer here, not a raise."""

    def __init__(self) -> None:
        trip = TripFactory(name="Baracoa", start_date=dt.date(2027, 3, 1))
        for sex in ("F", "M", ""):
            one = PassengerFactory(trip=trip, sex=sex)
            PassportFactory(passenger=one)
            HealthRecordFactory(passenger=one)
            EmergencyContactFactory(passenger=one)
            DocumentFactory(passenger=one)
            PaymentFactory(passenger=one)
        CostFactory(trip=trip)
        ContactFactory.create_batch(2, email="same@example.com")
        rooming.fill(trip=trip)
        self.users = {
            "superuser": StaffFactory(username="fuzz-super", is_superuser=True),
            "all permissions": StaffFactory(username="fuzz-all"),
            "viewer": StaffFactory(username="fuzz-view"),
            "own trips": StaffFactory(username="fuzz-own"),
            "staff without any": StaffFactory(username="fuzz-none"),
            "no staff": UserFactory(username="fuzz-user"),
        }
        self.users["all permissions"].user_permissions.set(Permission.objects.all())
        self.users["viewer"].user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        own = Permission.objects.filter(content_type__app_label="trips").exclude(codename="see_every_trip")
        self.users["own trips"].user_permissions.set(own)
        paper_runs.start(
            passengers=[one],
            kinds=["mou"],
            to_stage="",
            title="Papers",
            by=self.users["superuser"],
            key=uuid.uuid4(),
        )
        self.clients: dict[str, Client] = {"nobody": Client(raise_request_exception=False)}
        for kind in self.users:
            self._sign_in(kind)

    def _sign_in(self, kind: str) -> None:
        self.clients[kind] = Client(raise_request_exception=False)
        self.clients[kind].force_login(self.users[kind])

    def chance(self, seed: int) -> Chance:
        numbers = sorted(
            {str(pk) for model in _models() for pk in model._base_manager.values_list("pk", flat=True)[:4]}
        )
        names = sorted({field.name for model in _models() for field in model._meta.get_fields()})
        # Who may do everything gets beyond the refusals, so they send more.
        return Chance(seed, [*self.clients, *["superuser"] * 6], numbers, names)

    def send(self, sent: Sent) -> Any:
        """The answer. Who signed out, or was deleted, is signed in again before the next one."""
        client = self.clients[sent.who]
        more: dict[str, Any] = {"query_params": sent.query, "headers": sent.headers}
        if sent.data is not None and isinstance(sent.data, bytes):
            answer = client.generic(sent.method, sent.path, sent.data, sent.content_type, **more)
        elif sent.data is not None and sent.method == "POST":
            answer = client.post(sent.path, sent.data, **more)
        else:
            answer = client.generic(sent.method, sent.path, **more)
        if answer.streaming:
            b"".join(answer.streaming_content)
        self._mend(sent.who)
        return answer

    def _mend(self, who: str) -> None:
        if who == "nobody":
            return
        user = get_user_model()._default_manager.filter(pk=self.users[who].pk).first()
        if user is None:
            self.users[who].save(force_insert=True)
        if user is None or not user.is_active or "_auth_user_id" not in self.clients[who].session:
            get_user_model()._default_manager.filter(pk=self.users[who].pk).update(is_active=True)
            self._sign_in(who)


def _models() -> list[Any]:
    return [model for label in APPS for model in apps.get_app_config(label).get_models() if model._meta.pk is not None]


def errors(world: World, chance: Chance, count: int) -> list[str]:
    """Send so many; what was answered with a 500 or more."""
    found = []
    for _ in range(count):
        sent = chance.next()
        answer = world.send(sent)
        if answer.status_code >= 500:
            info = getattr(answer, "exc_info", None)
            found.append(
                f"{answer.status_code} {sent}: {info[0].__name__ if info else ''} {str(info[1])[:200] if info else ''}"
            )
    return found

"""Who may not see passports, health and emergency contacts: not on the page, not in a list, not by posting them."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests import factories
from tests.pages import posted, reveal
from trips.models import EmergencyContact, HealthRecord, Passport

pytestmark = pytest.mark.django_db

PARTS = {
    # prefix on the page: model, values of an existing row, what a form would send
    "passport": (Passport, {"number": "X5559876"}, {"number": "X5550000"}),
    "health": (HealthRecord, {"diet": "rare-diet", "general_health": ""}, {"diet": "other-diet"}),
    "emergency_contacts": (
        EmergencyContact,
        {"first_name": "Wilhelmina"},
        {"first_name": "Xaver", "phone": "+12025550100"},
    ),
}
FACTORIES = {
    "passport": factories.PassportFactory,
    "health": factories.HealthRecordFactory,
    "emergency_contacts": factories.EmergencyContactFactory,
}


def permissions_on(model, *verbs):
    return [f"trips.{verb}_{model._meta.model_name}" for verb in verbs]


@pytest.fixture
def clerk(client):
    """Logs in somebody who may edit passengers and what is named beside."""

    def log_in(*names):
        base = ["trips.view_passenger", "trips.change_passenger", "trips.add_passenger"]
        client.force_login(factories.StaffFactory(permissions=[*base, *names]))
        return client

    return log_in


def change_url(passenger):
    return reverse("admin:trips_passenger_change", args=[passenger.pk])


def row_of(prefix):
    return FACTORIES[prefix](**PARTS[prefix][1])


def sent(prefix, passenger, row=None):
    """What a page with this part on it would send, for a new row or an existing one."""
    data = {
        f"{prefix}-TOTAL_FORMS": "1",
        f"{prefix}-INITIAL_FORMS": "1" if row else "0",
        f"{prefix}-MIN_NUM_FORMS": "0",
        f"{prefix}-MAX_NUM_FORMS": "1000",
        f"{prefix}-0-passenger": str(passenger.pk),
        f"{prefix}-0-id": str(row.pk) if row else "",
        f"{prefix}-0-position": "1",
    }
    return data | {f"{prefix}-0-{name}": value for name, value in PARTS[prefix][2].items()}


@pytest.mark.parametrize("prefix", PARTS)
def test_part_is_absent_without_its_permission(clerk, prefix):
    _, values, _ = PARTS[prefix]
    row = row_of(prefix)
    client = clerk()

    pages = [
        client.get(change_url(row.passenger)),
        client.get(reverse("admin:trips_passenger_changelist")),
        client.get(reverse("admin:trips_passenger_history", args=[row.passenger.pk])),
    ]

    secret = next(value for value in values.values() if value)
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert [secret in page.content.decode() for page in pages] == [False] * 3
    assert f'name="{prefix}-' not in pages[0].content.decode()


@pytest.mark.parametrize("verbs", [(), ("view",)])
@pytest.mark.parametrize("prefix", PARTS)
def test_part_cannot_be_changed_by_posting_it(clerk, prefix, verbs):
    model, values, _ = PARTS[prefix]
    row = row_of(prefix)
    client = clerk(*permissions_on(model, *verbs))
    page = client.get(change_url(row.passenger))

    answer = client.post(change_url(row.passenger), posted(page, **sent(prefix, row.passenger, row)))

    assert answer.status_code in {200, 302}
    stored = model.objects.get()
    assert {name: getattr(stored, name) for name in values} == values


@pytest.mark.parametrize("verbs", [(), ("view",), ("view", "change")])
@pytest.mark.parametrize("prefix", PARTS)
def test_part_cannot_be_added_by_posting_it(clerk, prefix, verbs):
    model = PARTS[prefix][0]
    passenger = factories.PassengerFactory()
    client = clerk(*permissions_on(model, *verbs))
    page = client.get(change_url(passenger))

    client.post(change_url(passenger), posted(page, **sent(prefix, passenger)))

    assert not model.objects.exists()


@pytest.mark.parametrize("prefix", PARTS)
def test_part_cannot_be_deleted_without_the_permission(clerk, prefix):
    model = PARTS[prefix][0]
    row = row_of(prefix)
    client = clerk(*permissions_on(model, "view", "change"))
    page = client.get(change_url(row.passenger))

    client.post(change_url(row.passenger), posted(page, **{f"{prefix}-0-DELETE": "on"}))

    assert model.objects.exists()


@pytest.mark.parametrize("prefix", PARTS)
def test_part_can_be_changed_with_the_permission(clerk, prefix):
    model, _, changed = PARTS[prefix]
    row = row_of(prefix)
    client = clerk(*permissions_on(model, "view", "change"))
    reveal(client, row.passenger, prefix)
    page = client.get(change_url(row.passenger))

    answer = client.post(
        change_url(row.passenger), posted(page, **{f"{prefix}-0-{name}": value for name, value in changed.items()})
    )

    assert answer.status_code == 302
    stored = model.objects.get()
    assert {name: getattr(stored, name) for name in changed} == changed


@pytest.mark.parametrize("prefix", PARTS)
def test_part_can_be_added_with_the_permission(clerk, prefix):
    model, _, typed = PARTS[prefix]
    passenger = factories.PassengerFactory()
    client = clerk(*permissions_on(model, "view", "add"))
    page = client.get(change_url(passenger))

    assert client.post(change_url(passenger), posted(page, **sent(prefix, passenger))).status_code == 302

    stored = model.objects.get()
    assert {name: getattr(stored, name) for name in typed} == typed


def test_passport_filters_and_search_do_not_reach_what_is_hidden(clerk):
    row_of("passport")
    client = clerk()

    for asked in ({"passport__number": "X"}, {"health__diet": "x"}, {"passport__expires_on__lt": "2030-01-01"}):
        answer = client.get(reverse("admin:trips_passenger_changelist"), asked)
        assert answer.status_code in {302, 400}
    page = client.get(reverse("admin:trips_passenger_changelist"), {"q": "X5559876"})
    assert page.context["cl"].result_count == 0


def test_parts_have_no_pages_of_their_own(admin_client):
    for model in ("passport", "healthrecord", "emergencycontact"):
        assert admin_client.get(f"/trips/{model}/").status_code == 404


@pytest.mark.parametrize("model", ["trip", "passenger", "contact", "vendor", "payment", "document"])
def test_pages_are_closed_to_staff_without_permissions(client, model):
    client.force_login(factories.StaffFactory())

    for page in ("changelist", "add"):
        assert client.get(reverse(f"admin:trips_{model}_{page}")).status_code == 403


@pytest.mark.parametrize("model", ["trip", "contact", "vendor", "payment", "document"])
def test_who_may_only_view_gets_no_inputs(client, model):
    make = {
        "trip": factories.TripFactory,
        "contact": factories.ContactFactory,
        "vendor": factories.VendorFactory,
        "payment": factories.PaymentFactory,
        "document": factories.DocumentFactory,
    }
    row = make[model]()
    client.force_login(factories.StaffFactory(permissions=[f"trips.view_{model}"]))
    where = reverse(f"admin:trips_{model}_change", args=[row.pk])

    page = client.get(where)

    assert page.status_code == 200
    shown = page.content.decode()
    inputs = [name for name in page.context["adminform"].form.base_fields if f'name="{name}"' in shown]
    assert (inputs, "_save" in shown) == ([], False)
    assert client.post(where, {"name": "x"}).status_code == 403

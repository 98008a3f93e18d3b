"""The roles: who may do what, and why. `docs/roles.md` is this table in words.

They are installed as Django groups after each migration. A group that an administrator has changed since keeps the
change; `manage.py roles` says what differs and `manage.py roles --reset NAME` puts it back. Roles add up: an account in
two groups may do what either may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import connections, transaction

from trips.models import InstalledRole
from trips.permissions import EVERY_TRIP

VIEW, EDIT = ("view",), ("view", "add", "change")
ALL = (*EDIT, "delete")
# The apps whose permissions an administrator has, all of them.
APPS = ("trips", "ghl_sync", "auth", "axes", "django_q")
SYNC = ("link", "issue", "conflict", "drift", "run", "remotefield", "fieldrule", "webhookevent")


@dataclass(frozen=True, slots=True)
class Grant:
    """`verbs` on each of `models` ("trips.trip"), and why the role has them."""

    verbs: tuple[str, ...]
    models: tuple[str, ...]
    why: str

    @property
    def permissions(self) -> Iterator[str]:
        for model in self.models:
            app, _, name = model.partition(".")
            yield from (f"{app}.{verb}_{name}" for verb in self.verbs)


@dataclass(frozen=True, slots=True)
class Role:
    """`name` is the group's; `single` are permissions that are no verb on a model; `every`: it has all there are."""

    code: str
    name: str
    purpose: str
    grants: tuple[Grant, ...] = ()
    single: tuple[tuple[str, str], ...] = ()
    every: bool = False


def _trips(*names: str) -> tuple[str, ...]:
    return tuple(f"trips.{name}" for name in names)


_SIGHT = (EVERY_TRIP, "The office works on all trips.")
_TRAVEL = _trips("itineraryitem", "flight", "transfer")

ROLES: tuple[Role, ...] = (
    Role(
        "operations",
        "Operations",
        "Runs the trips: people, passports, papers, rooms and programme. No health, no money, deletes nothing.",
        (
            Grant(EDIT, _trips("trip", "passenger", "contact", "vendor"), "What the work is about."),
            Grant(EDIT, _trips("passport"), "Airlines and hotels ask for it; each look is in the read log."),
            Grant(EDIT, _trips("emergencycontact"), "Collected with the profile."),
            Grant(ALL, _TRAVEL, "The programme changes daily, and an entry is taken out with a click."),
            Grant(EDIT, _trips("document", "travellerform"), "Papers are made, filed and reviewed; links are sent."),
            Grant(EDIT, _trips("note"), "The office's notes; everybody removes their own."),
            Grant(("view", "add"), _trips("reminder"), "Chases what is missing, and sees what left."),
            Grant(EDIT, _trips("licence"), "Each traveller's licence has to hold on the trip's days."),
            Grant(VIEW, _trips("papertemplate"), "To see what a paper will say; the wording is an administrator's."),
            Grant(("view", "change"), _trips("batch"), "Looks at colleagues' bulk work and takes it back."),
            Grant(VIEW, _trips("paperrun", "sentreport"), "What was made and sent for a group."),
            Grant(VIEW, tuple(f"ghl_sync.{name}" for name in SYNC), "The sync desk is part of the day."),
        ),
        (
            _SIGHT,
            ("trips.overbook_trip", "Decides about the seat too many; the history says who did."),
        ),
    ),
    Role(
        "finance",
        "Finance",
        "Prices, payments and costs. No passports, no health, no papers.",
        (
            Grant(("view", "change"), _trips("trip"), "Prices and due dates are fields of the trip."),
            Grant(VIEW, _trips("passenger", "contact"), "Whose money it is, and whom to write to."),
            Grant(ALL, _trips("payment"), "Records, corrects and takes out what was booked twice."),
            Grant(ALL, _trips("cost"), "What suppliers get, and the margin."),
            Grant(EDIT, _trips("vendor"), "Who is paid."),
            Grant(("view", "add"), _trips("reminder"), "Reminds of payments."),
            Grant(EDIT, _trips("note"), "What was agreed about money."),
            Grant(VIEW, _trips("sentreport"), "Which lists of balances went out."),
        ),
        (_SIGHT,),
    ),
    Role(
        "medical",
        "Medical",
        "Health, diet and emergency contacts of all travellers. No passports, no money, no papers.",
        (
            Grant(VIEW, _trips("trip", "passenger", "contact"), "Who travels where, and whom to ask."),
            Grant(EDIT, _trips("healthrecord"), "The work; each look is in the read log, with what for."),
            Grant(EDIT, _trips("emergencycontact"), "Kept together with health."),
            Grant(
                ("view", "change"), _trips("travellerform"), "Takes over the part on health of what travellers sent."
            ),
            Grant(VIEW, _TRAVEL, "Where somebody is on which day."),
        ),
        (_SIGHT,),
    ),
    Role(
        "leader",
        "Trip leader",
        "Goes along. Sees only the trips that name them as a leader, and whoever is on those; changes the programme.",
        (
            Grant(VIEW, _trips("trip", "passenger", "contact"), "Who is on the trip."),
            Grant(VIEW, _trips("emergencycontact"), "Whom to call at night. Health is not among it: see the notes."),
            Grant(EDIT, _TRAVEL, "Plans change on the way."),
            Grant(VIEW, _trips("document"), "The group's papers; scans of passports take the permission on passports."),
            Grant(VIEW, _trips("vendor", "licence"), "The hotel's number; the licence that an officer asks for."),
            Grant(("view", "add"), _trips("note"), "What happened on the way."),
        ),
    ),
    Role(
        "readonly",
        "Read-only",
        "Looks at all trips and changes nothing. No passports, no health, no money.",
        (
            Grant(VIEW, _trips("trip", "passenger", "contact", "vendor"), "What the office works on."),
            Grant(VIEW, (*_TRAVEL, *_trips("emergencycontact", "document", "licence", "note")), "The rest of it."),
            Grant(VIEW, _trips("sentreport"), "Which lists went out."),
        ),
        (_SIGHT,),
    ),
    Role(
        "administrator",
        "Administrator",
        "Everything, accounts and groups included. Makes no superuser and changes none.",
        every=True,
    ),
)
BY_CODE = {role.code: role for role in ROLES}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a role's group stands against the table: what an administrator (or an older version) gave and took."""

    role: Role
    group: Group | None
    given: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    edited: bool = False

    @property
    def words(self) -> str:
        """One sentence."""
        if self.group is None:
            return "not there: it was deleted, or a group of this name is not ours"
        if not (self.given or self.taken):
            return "as in the table"
        parts = [("given besides: ", self.given), ("taken away: ", self.taken)]
        return "; ".join(f"{head}{', '.join(names)}" for head, names in parts if names)


def wanted(role: Role) -> set[str]:
    """The permissions of a role by name ("trips.view_trip")."""
    if role.every:
        rows = Permission.objects.filter(content_type__app_label__in=APPS)
        return {f"{app}.{name}" for app, name in rows.values_list("content_type__app_label", "codename")}
    return {name for grant in role.grants for name in grant.permissions} | {name for name, _why in role.single}


def install() -> list[str]:
    """Make the groups that are missing, bring up to date those that nobody has changed; what was done, in sentences.

    A group that an administrator has changed, renamed or deleted stays as it is.
    """
    with transaction.atomic():
        known = {row.code: row for row in InstalledRole.objects.select_for_update(of=("self",)).select_related("group")}
        return [told for role in ROLES if (told := _install(role, known.get(role.code)))]


def _install(role: Role, installed: InstalledRole | None) -> str:
    names = wanted(role)
    if installed is None:
        if Group.objects.filter(name=role.name).exists():
            InstalledRole.objects.create(code=role.code)
            return f"{role.name}: a group of this name is there already and was left alone."
        group = Group.objects.create(name=role.name)
        _write(InstalledRole(code=role.code), group, names)
        return f"{role.name}: made, with {len(names)} permissions."
    if (
        installed.group is None
        or set(installed.permissions) == names
        or held_by(installed.group) != {*installed.permissions}
    ):
        return ""
    _write(installed, installed.group, names)
    return f"{role.name}: brought up to date."


def reset(role: Role, *, dry: bool = False) -> Standing:
    """Put a role's group back as it stands in the table, made anew where it is gone; how it stood before.

    A group of the role's name that was not ours becomes it.
    """
    before = standing(role)
    if not dry:
        with transaction.atomic():
            group = before.group or Group.objects.get_or_create(name=role.name)[0]
            _write(InstalledRole(code=role.code), group, wanted(role))
    return before


def standing(role: Role) -> Standing:
    installed = InstalledRole.objects.select_related("group").filter(code=role.code).first()
    group = installed.group if installed else None
    if installed is None or group is None:
        return Standing(role, None)
    held, names = held_by(group), wanted(role)
    edited = held != set(installed.permissions)
    return Standing(role, group, tuple(sorted(held - names)), tuple(sorted(names - held)), edited)


def held_by(group: Group) -> set[str]:
    rows = group.permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{name}" for app, name in rows}


def _write(installed: InstalledRole, group: Group, names: set[str]) -> None:
    group.permissions.set(_rows(names))
    installed.group, installed.permissions = group, sorted(names)
    installed.save()


def _rows(names: Iterable[str]) -> Sequence[Permission]:
    """Raises LookupError for a name that is no permission: a wrong line of the table must not pass unseen."""
    asked = set(names)
    rows = Permission.objects.filter(codename__in={name.partition(".")[2] for name in asked})
    found = {f"{row.content_type.app_label}.{row.codename}": row for row in rows.select_related("content_type")}
    if missing := sorted(asked - found.keys()):
        raise LookupError(f"There is no permission {', '.join(missing)}; look at the table in tripbuilder/roles.py.")
    return [found[name] for name in asked]


def after_migrate(sender: Any, using: str, **_rest: Any) -> None:
    """For `post_migrate` of the last app: permissions of all of them are there then."""
    for app in APPS:
        create_permissions(apps.get_app_config(app), verbosity=0, using=using)
    if apps.get_model("trips.InstalledRole")._meta.db_table in _tables(using):
        install()


def _tables(using: str) -> list[str]:
    """A database that was migrated back has no such table, and Django tells of that as of any migration."""
    return connections[using].introspection.table_names()

from __future__ import annotations

import io

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.urls import reverse

from tests import factories
from tests.pages import posted
from tripbuilder import roles
from trips.models import InstalledRole
from trips.permissions import EVERY_TRIP

pytestmark = pytest.mark.django_db
FINANCE = roles.BY_CODE["finance"]


@pytest.fixture(autouse=True)
def fresh() -> None:
    """As after the first migration, whatever ran before."""
    Group.objects.all().delete()
    InstalledRole.objects.all().delete()
    roles.install()


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=name.partition(".")[2], content_type__app_label=name.partition(".")[0])


def said(*arguments: str) -> list[str]:
    out = io.StringIO()
    call_command("roles", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_every_role_is_a_group_as_in_the_table():
    held = {group.name: roles.held_by(group) for group in Group.objects.all()}

    assert held == {role.name: roles.wanted(role) for role in roles.ROLES}
    assert said()[-1] == "6 roles, 0 not as in the table."


def test_administrators_have_everything_of_ours():
    every = {
        f"{row.content_type.app_label}.{row.codename}"
        for row in Permission.objects.select_related("content_type")
        if row.content_type.app_label in roles.APPS
    }

    assert roles.wanted(roles.BY_CODE["administrator"]) == every


def test_only_administrators_and_those_of_the_office_see_every_trip():
    without = [role.code for role in roles.ROLES if EVERY_TRIP not in roles.wanted(role)]

    assert without == ["leader"]


@pytest.mark.parametrize(
    ("model", "codes"),
    [
        ("healthrecord", ["medical", "administrator"]),
        ("passport", ["operations", "administrator"]),
        ("payment", ["finance", "administrator"]),
        ("cost", ["finance", "administrator"]),
    ],
)
def test_who_sees_what_is_sensitive(model, codes):
    assert [role.code for role in roles.ROLES if f"trips.view_{model}" in roles.wanted(role)] == codes


def test_only_administrators_delete_people_and_trips():
    named = {f"trips.delete_{name}" for name in ("trip", "passenger", "contact", "vendor", "document")}

    assert [role.code for role in roles.ROLES if named & roles.wanted(role)] == ["administrator"]


def test_installing_again_changes_nothing():
    before = [(group.pk, roles.held_by(group)) for group in Group.objects.order_by("pk")]

    assert roles.install() == []
    assert [(group.pk, roles.held_by(group)) for group in Group.objects.order_by("pk")] == before


def test_migrating_installs_them():
    Group.objects.all().delete()
    InstalledRole.objects.all().delete()

    roles.after_migrate(sender=apps.get_app_config("ghl_sync"), using="default")

    assert Group.objects.count() == len(roles.ROLES)


def test_what_an_administrator_changed_is_kept_and_told():
    group = Group.objects.get(name="Finance")
    group.permissions.add(permission("trips.view_passport"))
    group.permissions.remove(permission("trips.delete_payment"))

    assert roles.install() == []
    assert "trips.view_passport" in roles.held_by(group)
    assert said()[1] == "Finance (finance): given besides: trips.view_passport; taken away: trips.delete_payment."


def test_a_group_that_nobody_changed_follows_the_table():
    group = Group.objects.get(name="Finance")
    older = roles.wanted(FINANCE) - {"trips.view_cost"}
    group.permissions.remove(permission("trips.view_cost"))
    InstalledRole.objects.filter(code="finance").update(permissions=sorted(older))

    assert roles.install() == ["Finance: brought up to date."]
    assert roles.held_by(group) == roles.wanted(FINANCE)


def test_renamed_and_deleted_groups_are_not_made_again():
    Group.objects.filter(name="Finance").update(name="Money")
    Group.objects.get(name="Medical").delete()

    assert roles.install() == []
    assert {"Finance", "Medical"} & {*Group.objects.values_list("name", flat=True)} == set()


def test_a_group_of_the_operators_own_is_left_alone_until_it_is_reset():
    Group.objects.all().delete()
    InstalledRole.objects.all().delete()
    own = Group.objects.create(name="Finance")

    assert "Finance: a group of this name is there already and was left alone." in roles.install()
    assert roles.held_by(own) == set()
    assert said("--reset", "finance") == ["Finance: made from the table."]
    assert roles.held_by(own) == roles.wanted(FINANCE)


def test_reset_says_what_it_changes_and_a_dry_run_changes_nothing():
    group = Group.objects.get(name="Finance")
    group.permissions.add(permission("trips.view_passport"))
    group.permissions.remove(permission("trips.delete_payment"))
    changed = roles.held_by(group)

    assert said("--reset", "finance", "-n") == [
        "Would change: trips.view_passport is taken away.",
        "Would change: trips.delete_payment is given.",
    ]
    assert roles.held_by(group) == changed
    assert said("--reset", "finance") == [
        "Changed: trips.view_passport is taken away.",
        "Changed: trips.delete_payment is given.",
    ]
    assert roles.held_by(group) == roles.wanted(FINANCE)
    assert said("--reset", "finance") == ["Finance: nothing to change, it is as in the table."]


def test_dry_run_without_reset_is_refused():
    with pytest.raises(CommandError, match="--dry-run goes with --reset"):
        call_command("roles", "-n")


def test_roles_add_up():
    user = factories.StaffFactory()
    user.groups.set(Group.objects.filter(name__in=["Finance", "Medical"]))

    assert user.has_perms(["trips.view_payment", "trips.view_healthrecord"])
    assert not user.has_perm("trips.view_passport")


@pytest.mark.parametrize("page", ["auth_user_change", "auth_user_delete", "auth_user_password_change"])
def test_administrators_who_are_no_superusers_do_not_reach_one(client, page):
    user = factories.StaffFactory()
    user.groups.add(Group.objects.get(name="Administrator"))
    superuser, other = factories.StaffFactory(is_superuser=True), factories.StaffFactory()
    client.force_login(user)

    posts = [client.post(reverse(f"admin:{page}", args=[one.pk]), {}).status_code for one in (superuser, other)]

    assert posts == [403, 200]


def test_administrators_who_are_no_superusers_make_none(client):
    user, other = factories.StaffFactory(), factories.StaffFactory()
    user.groups.add(Group.objects.get(name="Administrator"))
    client.force_login(user)
    address = reverse("admin:auth_user_change", args=[other.pk])

    client.post(address, {**posted(client.get(address)), "is_superuser": "on"})

    other.refresh_from_db()
    assert not other.is_superuser

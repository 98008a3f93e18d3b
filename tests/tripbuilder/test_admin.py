"""Pages of other apps stand on Unfold's base and open."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse
from unfold.admin import ModelAdmin


def test_every_page_stands_on_the_look_of_the_site():
    assert [model._meta.label for model, page in admin.site._registry.items() if not isinstance(page, ModelAdmin)] == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["auth_user", "auth_group", "django_q_schedule", "django_q_success", "django_q_failure", "django_q_ormq"]
)
def test_list_opens(admin_client, name):
    assert admin_client.get(reverse(f"admin:{name}_changelist")).status_code == 200

"""Pages of apps that are not ours, on Unfold's base: on Django's own their inputs would be invisible under its look."""

from __future__ import annotations

from typing import Any

import django_q.admin as queue
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from tripbuilder.signin.admin import UserSignIns

User = get_user_model()

for _model in (User, Group, Schedule, Success, Failure, OrmQ):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(User)
class UserAdmin(UserSignIns, DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_per_page = 25

    # Whoever may change accounts could else make one that may do anything, or take one over by its password.

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _within_reach(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _within_reach(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = () if request.user.is_superuser else ("is_superuser",)
        return (*super().get_readonly_fields(request, obj), *fixed)


def _within_reach(request: HttpRequest, account: Any) -> bool:
    """Superusers are changed by superusers."""
    return request.user.is_superuser or not getattr(account, "is_superuser", False)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    list_per_page = 25


@admin.register(Schedule)
class ScheduleAdmin(queue.ScheduleAdmin, ModelAdmin):
    list_per_page = 25
    list_filter: Any = ("schedule_type",)


@admin.register(Success)
class SuccessAdmin(queue.TaskAdmin, ModelAdmin):
    list_per_page = 25


@admin.register(Failure)
class FailureAdmin(queue.FailAdmin, ModelAdmin):
    list_per_page = 25


@admin.register(OrmQ)
class QueueAdmin(queue.QueueAdmin, ModelAdmin):
    list_per_page = 25

"""Pages of apps that are not ours, on Unfold's base: on Django's own their inputs would be invisible under its look."""

from __future__ import annotations

from typing import Any

import django_q.admin as queue
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
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

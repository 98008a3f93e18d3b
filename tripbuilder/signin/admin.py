"""What administrators see and end of others' sign-ins, and the accounts that are locked."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import action

from tripbuilder.signin import second_factor, views

LOG = logging.getLogger("tripbuilder.signin")


class UserSignIns(admin.ModelAdmin):
    """Two pages beside a user's: their sign-ins, and the confirmation before their second factor is taken off."""

    actions_detail: ClassVar[Any] = ("to_sign_ins",)

    @action(description="Sign-ins", permissions=["change"], url_path="to-sign-ins")
    def to_sign_ins(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:auth_user_sign_ins", args=[object_id]))

    def get_urls(self) -> list[Any]:
        guard = self.admin_site.admin_view
        own = [
            path("<int:pk>/sign-ins/", guard(self.sign_ins), name="auth_user_sign_ins"),
            path("<int:pk>/sign-ins/end/", guard(require_POST(self.end_sign_ins)), name="auth_user_end_sign_ins"),
            path("<int:pk>/second-factor/", guard(self.take_off), name="auth_user_second_factor"),
        ]
        return [*own, *super().get_urls()]

    def sign_ins(self, request: HttpRequest, pk: int) -> HttpResponse:
        one = self._user(request, pk)
        if one is None:
            return self._gone(request, pk)
        context = {
            "title": f"Sign-ins of {one}",
            "rows": views.rows_of(one, request.session.session_key),
            "end_url": reverse("admin:auth_user_end_sign_ins", args=[pk]),
            "take_off_url": reverse("admin:auth_user_second_factor", args=[pk]),
            "device": second_factor.device_of(one),
            "codes_left": one.recovery_codes.count(),
        }
        return self._page(request, "of_user.html", context)

    def end_sign_ins(self, request: HttpRequest, pk: int) -> HttpResponse:
        one = self._user(request, pk)
        if one is None:
            return self._gone(request, pk)
        said = views.ended(request, one, keep=request.session.session_key)
        self.log_change(request, one, said)
        messages.success(request, said)
        return HttpResponseRedirect(reverse("admin:auth_user_sign_ins", args=[pk]))

    def take_off(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Confirmed by a press of the button, recorded in the user's history and in the log."""
        one = self._user(request, pk)
        if one is None:
            return self._gone(request, pk)
        back = reverse("admin:auth_user_sign_ins", args=[pk])
        if request.method == "POST":
            second_factor.take_off(one)
            self.log_change(request, one, "Took the second factor off.")
            LOG.warning("user %s took the second factor off user %s", request.user.pk, pk)
            messages.success(request, f"The second factor of {one} is off, and their sign-ins have ended.")
            return HttpResponseRedirect(back)
        context = {
            "title": f"Take the second factor off {one}?",
            "one": one,
            "back_url": back,
            "required": second_factor.required(),
        }
        return self._page(request, "take_off.html", context)

    def _user(self, request: HttpRequest, pk: int) -> Any:
        """The user, for who may change them: superusers for superusers only, as a factor taken off opens an account."""
        one = self.get_object(request, str(pk))
        if not self.has_change_permission(request, one):
            raise PermissionDenied
        if one is not None and one.is_superuser and not request.user.is_superuser:
            raise PermissionDenied
        return one

    def _gone(self, request: HttpRequest, pk: int) -> HttpResponse:
        messages.warning(request, f"There is no user with the number {pk}; they may have been deleted.")
        return HttpResponseRedirect(reverse("admin:auth_user_changelist"))

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        frame = self.admin_site.each_context(request)
        return TemplateResponse(request, f"signin/{template}", {**frame, **context})


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ModelAdmin):
    """Wrong passwords of the last quarter of an hour. Deleting a row unlocks its account and address."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    list_per_page = 25
    fields = readonly_fields = ("username", "ip_address", "user_agent", "failures_since_start", "attempt_time")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

"""Connects what happens at sign-in, and the check for the demo account."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class SigninConfig(AppConfig):
    name = "tripbuilder.signin"
    label = "signin"
    verbose_name = "Sign-in"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from tripbuilder.signin import demo, sessions  # noqa: PLC0415 - models are loaded only now

        demo.register()
        user_logged_in.connect(sessions.began, dispatch_uid="signin_began")

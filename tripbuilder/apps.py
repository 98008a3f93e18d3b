"""Makes TripBuilder's own admin site the default one, and the queue discreet."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class TripBuilderConfig(AppConfig):
    name = "tripbuilder"
    default = True

    def ready(self) -> None:
        from django_q.signals import post_execute_in_worker  # noqa: PLC0415 - models are loaded only now

        from tripbuilder.logs import task_done  # noqa: PLC0415 - for the same reason

        post_execute_in_worker.connect(task_done, dispatch_uid="tripbuilder_task_done")


class AdminConfig(admin_apps.AdminConfig):
    default = False
    default_site = "tripbuilder.admin_site.TripBuilderAdminSite"

"""Makes TripBuilder's own admin site the default one, and the queue discreet."""

from django.apps import AppConfig, apps
from django.contrib.admin import apps as admin_apps
from django.db.models.signals import post_migrate


class TripBuilderConfig(AppConfig):
    name = "tripbuilder"
    default = True

    def ready(self) -> None:
        from django_q.signals import post_execute_in_worker  # noqa: PLC0415 - models are loaded only now

        from tripbuilder import roles  # noqa: PLC0415 - for the same reason
        from tripbuilder.logs import task_done  # noqa: PLC0415 - for the same reason

        post_execute_in_worker.connect(task_done, dispatch_uid="tripbuilder_task_done")

        # Of the last app with tables: then those of all others are there.
        last = apps.get_app_config("ghl_sync")
        post_migrate.connect(roles.after_migrate, sender=last, dispatch_uid="tripbuilder_roles")


class AdminConfig(admin_apps.AdminConfig):
    default = False
    default_site = "tripbuilder.admin_site.TripBuilderAdminSite"

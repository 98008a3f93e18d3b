from django.apps import AppConfig
from django.db.models.signals import post_migrate


class GhlSyncConfig(AppConfig):
    name = "ghl_sync"
    verbose_name = "GoHighLevel"

    def ready(self) -> None:
        from ghl_sync import checks, privacy, receivers, schedules  # noqa: PLC0415 - models are loaded only now

        checks.register()
        receivers.connect()
        privacy.register()
        post_migrate.connect(schedules.install, sender=self, dispatch_uid="ghl_sync_schedules")

from django.apps import AppConfig


class GhlSyncConfig(AppConfig):
    name = "ghl_sync"
    verbose_name = "GoHighLevel"

    def ready(self) -> None:
        from ghl_sync import receivers  # noqa: PLC0415 - models are loaded only now

        receivers.connect()

from django.apps import AppConfig


class GhlSyncConfig(AppConfig):
    name = "ghl_sync"
    verbose_name = "GoHighLevel"

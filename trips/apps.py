from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save, pre_save


class TripsConfig(AppConfig):
    name = "trips"
    verbose_name = "Trips"

    def ready(self) -> None:
        from trips import checks, encryption, receivers  # noqa: PLC0415 - models are loaded only now
        from trips.models import Document, Payment  # noqa: PLC0415 - the same
        from trips.services import keys  # noqa: PLC0415 - the same

        checks.register()
        encryption.retired = keys.comparing_keys

        post_delete.connect(receivers.document_deleted, sender=Document, dispatch_uid="trips_document_deleted")
        pre_save.connect(receivers.payment_saving, sender=Payment, dispatch_uid="trips_payment_saving")
        post_save.connect(receivers.payment_written, sender=Payment, dispatch_uid="trips_payment_saved")
        post_delete.connect(receivers.payment_written, sender=Payment, dispatch_uid="trips_payment_deleted")
        post_migrate.connect(receivers.install_schedules, sender=self, dispatch_uid="trips_schedules")
        post_migrate.connect(receivers.remember_keys, sender=self, dispatch_uid="trips_keys")
        post_migrate.connect(receivers.install_templates, sender=self, dispatch_uid="trips_templates")

"""Makes TripBuilder's own admin site the default one."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class TripBuilderConfig(AppConfig):
    name = "tripbuilder"
    default = True


class AdminConfig(admin_apps.AdminConfig):
    default = False
    default_site = "tripbuilder.admin_site.TripBuilderAdminSite"

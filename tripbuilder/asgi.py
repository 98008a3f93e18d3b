"""ASGI entry point, for servers that speak it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tripbuilder.settings")

application = get_asgi_application()

from trips.checks import at_start  # noqa: E402 - the application's set-up comes first

at_start()

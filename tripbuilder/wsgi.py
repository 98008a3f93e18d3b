"""WSGI entry point for gunicorn."""

import logging
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tripbuilder.settings")

application = get_wsgi_application()

# Under gunicorn nobody runs the system checks; these are not to wait for the next `manage.py check`.
from tripbuilder.signin.demo import demo_account_is_shut_out  # noqa: E402 - apps are loaded only now
from trips.checks import at_start  # noqa: E402 - the same

for _message in demo_account_is_shut_out():
    logging.getLogger("tripbuilder.signin").warning("%s", _message)
at_start()

"""Everything at once on this machine: database, web, queue and, without an account, the sandbox."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, OperationalError, close_old_connections

from ghl_sync.conf import config
from ghl_sync.models import Alarm, Link
from ghl_sync.sandbox.hooks import public_key
from tripbuilder.demo import SANDBOX_LOCATION, SANDBOX_TOKEN
from tripbuilder.signin.demo import DEMO_PASSWORD, DEMO_USER
from tripbuilder.supervisor import HOST, Stopped, Supervisor, port_is_free
from trips.models import Contact, Passenger, Trip


def _what_hangs() -> str:
    """The queue, once the watchdog has raised its alarm: django-q2's cluster can hang while it looks alive."""
    try:
        return "queue" if Alarm.objects.filter(code=Alarm.Code.QUEUE, closed_at__isnull=True).exists() else ""
    except Error:
        close_old_connections()
        return ""  # the database does not answer: asked again


class Command(BaseCommand):
    help = (
        "Migrate, then run web, queue and watchdog together; without GHL credentials also the sandbox, filled with "
        "invented people and pulled from it when the database is empty. Ctrl-C stops all."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="where the web listens (default 8000)")
        parser.add_argument("--sandbox-port", type=int, default=8787, help="where the sandbox listens (default 8787)")

    def handle(self, *args: Any, **options: Any) -> None:
        real = self._real_account()
        web, sandbox = options["port"], options["sandbox_port"]
        self._refuse_taken(web, "PORT=8001 make run")
        if not real:
            self._refuse_taken(sandbox, "SANDBOX_PORT=8788 make run")
        self._migrate()
        seed = secrets.token_bytes(32)  # the sandbox signs its webhooks with a key of this run
        environment = dict(os.environ) if real else self._sandbox_environment(sandbox, public_key(seed))
        supervisor = Supervisor(str(Path(settings.BASE_DIR) / "manage.py"), environment)
        supervisor.listen()
        try:
            if not real:
                hooks = ("--webhooks", f"http://{HOST}:{web}/ghl/webhook/", "--webhook-seed", seed.hex())
                self._start_sandbox(supervisor, sandbox, hooks)
            login = self._login(demo=not real)
            supervisor.start("queue", "qcluster", again=True)
            supervisor.start("watchdog", "ghl_watchdog", again=True)
            supervisor.start("web", "runserver", f"{HOST}:{web}", "--noreload")
            supervisor.wait_for(web)
            self._say(f"web http://{HOST}:{web}/")
            if not real:
                self._say(f"sandbox http://{HOST}:{sandbox}/")
            self._say(f"login {login}")
            supervisor.watch(_what_hangs)
        except Stopped as reason:
            if str(reason):
                raise CommandError(str(reason)) from None
        except TimeoutError as error:
            raise CommandError(str(error)) from None
        finally:
            supervisor.stop()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _real_account(self) -> bool:
        return config().configured

    def _refuse_taken(self, port: int, instead: str) -> None:
        if not 0 < port < 65536:
            raise CommandError(f"{port} is not a port; use one from 1024 to 65535.", returncode=2)
        if not port_is_free(port):
            raise CommandError(
                f"Port {port} is taken by another program. Stop that one, or use another port: {instead}",
                returncode=2,
            )

    def _migrate(self) -> None:
        try:
            call_command("migrate", verbosity=0)
        except OperationalError as error:
            raise CommandError(f"The database of DATABASE_URL cannot be used: {error}", returncode=2) from None

    def _sandbox_environment(self, port: int, webhook_key: str) -> dict[str, str]:
        """The children's environment: this account is the stand-in, whatever `.env` leaves open."""
        return {
            **os.environ,
            "GHL_API_TOKEN": SANDBOX_TOKEN,
            "GHL_LOCATION_ID": SANDBOX_LOCATION,
            "GHL_API_BASE_URL": f"http://{HOST}:{port}",
            "GHL_APP_URL": f"http://{HOST}:{port}",
            "GHL_MIRROR_SENSITIVE": "both",  # nobody in there is real
            "GHL_WEBHOOK_PUBLIC_KEYS": webhook_key,
        }

    def _start_sandbox(self, supervisor: Supervisor, port: int, hooks: tuple[str, ...]) -> None:
        """Invented people only where there is nobody yet, or where they came from the sandbox before."""
        empty = not any(model._base_manager.exists() for model in (Trip, Passenger, Contact))
        known = Link.objects.filter(location_id=SANDBOX_LOCATION).exists()
        seed = "small" if empty or known else "none"
        supervisor.start("sandbox", "ghl_sandbox", "--port", str(port), "--seed", seed, *hooks)
        supervisor.wait_for(port)
        supervisor.run("ghl_setup", "--apply")
        if not empty:
            return
        if supervisor.run("pull_ghl", "--full", "--no-progress") != 0:
            self.stderr.write("The first pull from the sandbox did not succeed; the next scheduled one tries again.")
        supervisor.run("fill_demo")

    def _login(self, *, demo: bool) -> str:
        """Name and password of someone who may log in; makes the first user where there is none."""
        users = get_user_model()._default_manager
        if not users.exists():
            password = DEMO_PASSWORD if demo else secrets.token_urlsafe(12)
            users.create_superuser(DEMO_USER, password=password)
            return f"{DEMO_USER} {password}"
        found = users.filter(username=DEMO_USER).first()
        if found is not None and found.check_password(DEMO_PASSWORD):
            return f"{DEMO_USER} {DEMO_PASSWORD}"
        name = users.filter(is_superuser=True, is_active=True).values_list("username", flat=True).first()
        return f"{name or '(no administrator; see manage.py createsuperuser)'} (the password you chose)"

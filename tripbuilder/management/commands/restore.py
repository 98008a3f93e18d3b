"""Put an archive that `backup` has written back into an empty database."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from tripbuilder.backups import CannotRestore
from tripbuilder.backups.postgresql import NoProgram
from tripbuilder.backups.restoring import Incomplete, failures, restore


class Command(BaseCommand):
    help = (
        "Put an archive of `backup` back: into an empty database and an empty PRIVATE_ROOT, after all of it was "
        "compared with its checksums. Exit code 2: refused, nothing was written."
    )
    requires_migrations_checks = False
    requires_system_checks: list[str] = []  # they may ask a database that has no tables yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "archive", type=Path, help="the archive, such as backups/tripbuilder-2027-03-01T020000Z.tar.gz"
        )

    def handle(self, *args: Any, archive: Path, **options: Any) -> None:
        try:
            manifest = restore(archive)
        except (CannotRestore, NoProgram) as error:
            raise CommandError(str(error), returncode=2) from None
        except Incomplete as error:
            raise CommandError(str(error)) from None
        except failures() as error:
            raise CommandError(f"Nothing was restored; database and folder are empty as before: {error}") from None
        except Error as error:
            raise CommandError(f"The database of DATABASE_URL cannot be used: {error}", returncode=2) from None
        self.stdout.write(
            f"Restored {len(manifest.rows)} tables with {sum(manifest.rows.values()):,} rows and "
            f"{len(manifest.files):,} files, as of {manifest.made_at}."
        )
        self.stdout.write(
            "Next: manage.py migrate, then start web, queue and watchdog. Where this is another database than the "
            "one that worked with GoHighLevel so far, nothing is sent or taken in before manage.py ghl_setup --bind."
        )

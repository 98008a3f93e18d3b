"""Write the database and the private files into one dated archive."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from tripbuilder.backups import CannotBackUp
from tripbuilder.backups.making import IN_FOLDER, back_up
from tripbuilder.backups.postgresql import NoProgram
from tripbuilder.backups.restoring import failures


class Command(BaseCommand):
    help = (
        "Write the database and the private files into one archive, as they are at this moment; web and queue may go "
        "on working. The encryption keys are not in it: keep them elsewhere. Exit code 2: nothing could be begun."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--to", type=Path, default=Path(settings.BASE_DIR) / "backups", help="folder of the archives (%(default)s)"
        )

    def handle(self, *args: Any, to: Path, **options: Any) -> None:
        try:
            path, manifest = back_up(to)
        except (CannotBackUp, NoProgram) as error:
            raise CommandError(str(error), returncode=2) from None
        except failures() as error:
            raise CommandError(f"The backup was not written, and nothing of it is left: {error}") from None
        except Error as error:
            raise CommandError(f"The database of DATABASE_URL cannot be read: {error}", returncode=2) from None
        rows, size = sum(manifest.rows.values()), path.stat().st_size
        self.stdout.write(
            f"{path}: {len(manifest.rows)} tables with {rows:,} rows, {len(manifest.files):,} files, "
            f"{size / 1e6:,.1f} MB."
        )
        if manifest.papers != IN_FOLDER:
            self.stdout.write(f"The papers are in the {manifest.papers}, which needs a backup of its own.")
        if manifest.keys:
            self.stdout.write(f"It needs the encryption keys {', '.join(manifest.keys)}, which are not in it.")

"""Encrypt everything with the first of FIELD_ENCRYPTION_KEYS, and say which of the others are still needed."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from ghl_sync.status import comparisons_with
from trips.encryption import current_key_id, key_ids
from trips.services import keys, rotation
from trips.services.rotation import Done

INTERRUPTED = 130
MOST_NAMED = 20
PLAIN = "no key"


class Command(BaseCommand):
    help = (
        "Give every encrypted value and every private file the first key of FIELD_ENCRYPTION_KEYS. Safe while people "
        "work and to break off: the next run goes on with what is left."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("-n", "--dry-run", action="store_true", help="count what has which key, change nothing")
        parser.add_argument("--no-progress", action="store_true", help="no progress bar")

    def handle(self, *args: Any, dry_run: bool, no_progress: bool, **options: Any) -> None:
        keys.remember()
        done = Done()
        try:
            if not dry_run:
                self._rotate(done, True if no_progress else None)
            held = self._counted()
        except KeyboardInterrupt:
            self.stderr.write("Stopped. Nothing is lost: the next run goes on from here.")
            raise SystemExit(INTERRUPTED) from None
        self._tell(held, done, dry_run=dry_run)
        if not dry_run:
            self._retire(held)
        if done.unreadable:
            for line in done.unreadable[:MOST_NAMED]:
                self.stderr.write(line)
            raise CommandError(f"{len(done.unreadable):,} could not be read; the lines above name the first of them.")

    def _rotate(self, done: Done, hidden: bool | None) -> None:
        for table in rotation.tables():
            with _bar(table.label, table.due().count(), hidden) as bar:
                rotation.rotate(table, done, bar.update)
        with _bar("files", rotation.count_files(), hidden) as bar:
            for file in rotation.files():
                if rotation.key_of_file(file) != current_key_id():
                    rotation.rotate_file(file, done)
                bar.update(1)

    def _counted(self) -> Mapping[str, Counter[str]]:
        """By what it is, how many values each key has."""
        held = {table.label: rotation.keys_of(table) for table in rotation.tables()}
        held["files"] = Counter(key for key in map(rotation.key_of_file, rotation.files()) if key is not None)
        held["comparisons"] = Counter({key: comparisons_with(key) for key in key_ids()[1:]})
        return {what: +counts for what, counts in held.items()}

    def _tell(self, held: Mapping[str, Counter[str]], done: Done, *, dry_run: bool) -> None:
        for what, counts in held.items():
            for key, count in sorted(counts.items(), key=lambda entry: entry[0] != current_key_id()):
                self.stdout.write(f"{what}: {count:,} with {_called(key)}")
        left = sum(count for counts in held.values() for key, count in counts.items() if key != current_key_id())
        if dry_run:
            self.stdout.write(f"Nothing was changed. {left:,} would get the key {current_key_id()}.")
            return
        words = f"{done.rotated:,} rows and files got the key {current_key_id()}"
        if done.changed_meanwhile:
            words += f", {done.changed_meanwhile:,} were changed by somebody meanwhile and left alone"
        self.stdout.write(f"{words}. {left:,} are left.")

    def _retire(self, held: Mapping[str, Counter[str]]) -> None:
        for key in key_ids()[1:]:
            needed = sum(counts[key] for counts in held.values())
            if needed:
                compared = held["comparisons"][key]
                how = f" `push_ghl --all` makes {compared:,} comparisons anew." if compared else ""
                self.stdout.write(f"The key {key} is still needed by {needed:,}.{how}")
            else:
                keys.retire(key)
                self.stdout.write(
                    f"Nothing needs the key {key} any more: take it out of FIELD_ENCRYPTION_KEYS, start everything "
                    "again, and keep it as long as backups from before."
                )


def _called(key: str) -> str:
    if not key:
        return PLAIN
    return f"the key {key}" + ("" if key in key_ids() else ", which is not in FIELD_ENCRYPTION_KEYS")


@contextmanager
def _bar(what: str, total: int, hidden: bool | None) -> Iterator[Any]:
    """On stderr; silent where that is no terminal."""
    with tqdm(desc=what, total=total, unit="", disable=hidden) as bar:
        yield bar

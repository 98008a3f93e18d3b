"""What the sync's commands share: one JSON object on stdout, words and bars for people on stderr, the exit codes.

0 is all well, 1 a record failed or a person has paused it, 2 the command could not run at all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from ghl_sync.client.errors import GHLError
from ghl_sync.engine.session import CannotRun, Paused

RECORD_FAILED = 1
COULD_NOT_RUN = 2
INTERRUPTED = 130


def said(number: int, one: str, many: str = "") -> str:
    """ "1 call" or "3 calls"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


@contextmanager
def quiet_queue() -> Iterator[None]:
    """Within the block the queue tells of trouble only, not of each task that it is handed."""
    logger = logging.getLogger("django-q")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


class ReportingCommand(BaseCommand):
    """A command that reports counts: `--json` for programs, lines on stderr for people."""

    as_json = False

    def execute(self, *args: Any, **options: Any) -> str | None:
        with quiet_queue():
            return super().execute(*args, **options)

    def say(self, words: str) -> None:
        """A line for the person at the terminal; stdout stays free for the report."""
        self.stderr.write(words)

    def report(self, body: Mapping[str, Any]) -> None:
        if self.as_json:
            self.stdout.write(json.dumps(body))

    @contextmanager
    def reporting(self, empty: Mapping[str, Any]) -> Iterator[None]:
        """Turns what stops the whole command into a sentence and exit code 2, or 1 where a person has paused it.

        `empty` is the report's shape then.
        """
        try:
            yield
        except Paused as error:
            self.report({**empty, "ok": False, "error": str(error)})
            raise CommandError(str(error), returncode=RECORD_FAILED) from None
        except (CannotRun, GHLError) as error:
            words = error.words if isinstance(error, GHLError) else str(error)
            self.report({**empty, "ok": False, "error": words})
            raise CommandError(words, returncode=COULD_NOT_RUN) from None
        except KeyboardInterrupt:
            self.say("Stopped. Nothing is lost: the next run goes on from here.")
            raise SystemExit(INTERRUPTED) from None


class Bars:
    """One progress bar a kind, on stderr; silent where that is no terminal."""

    def __init__(self, *, hidden: bool) -> None:
        self._off: bool | None = True if hidden else None
        self._bars: dict[str, tqdm[Any]] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *exception: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def show(self, kind: str, done: int, total: int | None) -> None:
        bar = self._bars.get(kind)
        if bar is None:
            bar = self._bars[kind] = tqdm(desc=kind, total=total, unit="", disable=self._off)
        bar.total = total
        bar.update(done - bar.n)

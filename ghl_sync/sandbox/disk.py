"""The state on disk: written whole, beside the old one, then put in its place."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

from ghl_sync.sandbox.store import Store

logger = logging.getLogger(__name__)
PAUSE_SECONDS = 1.0


class Unusable(Exception):
    """The file is not a state of the sandbox; the text says what to do."""


def load(store: Store, path: Path) -> bool:
    """Take over the state in `path`; False when there is no such file. Raises Unusable."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{path} cannot be read ({error}); move it away and start again.") from None
    try:
        store.load(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"{path} is not a state of the sandbox ({error}); move it away and start again.") from None
    return True


def save(store: Store, path: Path) -> None:
    """Write the state so that a reader sees the old or the new one, never half of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(store.dump(), file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class Saver:
    """Saves at once, then in the background at most once a second, and once more at the end.

    Raises Unusable when nothing can be written there.
    """

    def __init__(self, store: Store, path: Path) -> None:
        self._store, self._path = store, path
        try:
            save(store, path)
        except OSError as error:
            raise Unusable(f"{path} cannot be written ({error}); choose another file.") from None
        self._wake = threading.Event()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-saver", daemon=True)
        store.listen(self._wake.set)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.is_set():
            self._wake.wait()
            self._wake.clear()
            if not self._ends.is_set():
                self._save()
                self._ends.wait(PAUSE_SECONDS)

    def _save(self) -> None:
        try:
            save(self._store, self._path)
        except OSError as error:  # the disk may have room again at the next change
            logger.error("The sandbox could not save its records in %s: %s", self._path, error)

    def stop(self) -> None:
        self._ends.set()
        self._wake.set()
        self._thread.join()
        self._save()

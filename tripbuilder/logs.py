"""Log lines that tell where and what went wrong, and nothing of a person."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Discreet(logging.Formatter):
    """Exceptions by their class and their frames; what they say is left out.

    The words of a database or of a conversion repeat the value they stumbled over: a name, a passport's number.
    """

    def formatException(self, ei: ExcInfo) -> str:
        return "\n".join(_told(ei[1])) if ei[1] is not None else ""


# How Python prints where an error was, and what follows: the line of code, then the class and its words.
_FRAME = re.compile(r'  File "[^"]+", line \d+, in \S+')
_CLASS = re.compile(r"[A-Za-z_][\w.]*")


def without_words(printed: str) -> str:
    """A printed traceback by its classes and frames."""
    told: list[str] = []
    in_frames = False
    for line in printed.splitlines():
        if _FRAME.fullmatch(line):
            told.append(line)
            in_frames = True
        elif in_frames and not line.startswith("    "):
            found = _CLASS.match(line)
            told.append(found[0] if found else "an error")
            in_frames = False
    return "\n".join(told) or "an error"


def task_done(task: dict[str, Any], **_signal: Any) -> None:
    """Of a failed task the queue keeps, and logs, where it failed; what the error says may be a traveller's data."""
    if not task["success"]:
        task["result"] = without_words(str(task["result"]))


def _told(error: BaseException) -> Iterator[str]:
    """What led to it first, as Python prints it."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _told(earlier)
        yield "which led to:"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield f"{type(error).__module__}.{type(error).__qualname__}"

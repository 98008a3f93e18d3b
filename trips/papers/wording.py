"""The mark-up of a paper: what a line may be, what is wrong with it, and the same text with its fields filled in.

    # Heading          ## Smaller heading          - item of a list
    **bold**           {{trip_name}} a merge field   {{guardian_name?}} one that may be empty
    [sign: Traveller]  a line to sign and date on    --- a rule across the page

An empty line ends a paragraph. Nothing else has a meaning: no conditions, no attributes, no code, so a wording can
neither break a page nor read what the list of fields does not offer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from trips.papers.fields import BY_CODE, FIELDS, MergeField, nearest

_TOKEN = re.compile(r"(\*\*)|\{\{([^{}\n]*)\}\}")
_SIGN = re.compile(r"\[sign:([^\[\]]*)\]", re.IGNORECASE)
Read = Callable[[MergeField], str]


class Shape(StrEnum):
    HEADING = "heading"
    SMALLER = "smaller"
    ITEM = "item"
    TEXT = "text"
    RULE = "rule"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a block. With a `field` its text is put in when the paper is made."""

    text: str
    bold: bool = False
    field: MergeField | None = None
    may_be_empty: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    shape: Shape
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Filled:
    """A paper ready to be printed; with something missing it is a draft."""

    title: str
    blocks: tuple[Block, ...]
    missing: tuple[str, ...]


def faults(text: str) -> list[str]:
    """A sentence for each thing in it that would not be printed as meant."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        found += [f"Line {number}: {fault}" for fault in _line_faults(line)]
    return found


def _line_faults(line: str) -> list[str]:
    found = [fault for match in _TOKEN.finditer(line) if match[1] is None and (fault := _unknown(match[2]))]
    rest = _TOKEN.sub("", line)
    if "{{" in rest or "}}" in rest:
        found.append("a merge field stands between two braces on each side, in one line, such as {{trip_name}}.")
    if line.count("**") % 2:
        found.append("“**” begins bold text that does not end in this line; put “**” after its last word.")
    return found


def _unknown(inside: str) -> str:
    name, _optional = _named(inside)
    if name in BY_CODE:
        return ""
    meant = nearest(name)
    shown = inside.strip() or "{{}}"
    if meant:
        return f"there is no merge field “{shown}”. Did you mean “{meant.code}” ({meant.label})?"
    return f"there is no merge field “{shown}”. The list beside the text has those that there are."


def _named(inside: str) -> tuple[str, bool]:
    """The code as typed, forgiving about capitals and blanks, and whether the field may be empty."""
    text = inside.strip()
    return "_".join(text.removesuffix("?").casefold().split()), text.endswith("?")


def used_in(*texts: str) -> list[MergeField]:
    """The merge fields that these texts name, each once."""
    names = {_named(match[2])[0] for text in texts for match in _TOKEN.finditer(text) if match[1] is None}
    return [field for field in FIELDS if field.code in names]


def needed_for(*texts: str) -> frozenset[str]:
    """The models whose data a paper of this wording shows beyond passenger and trip."""
    return frozenset(field.needs for field in used_in(*texts) if field.needs)


def filled(*, title: str, body: str, read: Read) -> Filled:
    """The wording with what `read` says of each field. What is empty prints "MISSING: …", unless it may be empty."""
    missing: dict[str, None] = {}

    def put_in(part: Part) -> Part:
        if part.field is None:
            return part
        text = read(part.field).strip()
        if text or part.may_be_empty:
            return Part(text, part.bold)
        missing[part.field.label] = None
        return Part(f"MISSING: {part.field.label}", True, missing=True)

    heading = "".join(put_in(part).text for part in _parts(title))
    blocks = tuple(Block(block.shape, tuple(put_in(part) for part in block.parts)) for block in blocks_of(body))
    return Filled(heading, blocks, tuple(missing))


@lru_cache(maxsize=64)  # a group's papers have the same few wordings
def blocks_of(text: str) -> tuple[Block, ...]:
    """Line by line; lines of a paragraph that follow each other are one."""
    blocks: list[Block] = []
    lines: list[str] = []

    def end_paragraph() -> None:
        if lines:
            blocks.append(Block(Shape.TEXT, tuple(_parts("\n".join(lines)))))
            lines.clear()

    for line in text.splitlines():
        block = _single(line.strip())
        if block or not line.strip():
            end_paragraph()
        if block:
            blocks.append(block)
        elif line.strip():
            lines.append(line.strip())
    end_paragraph()
    return tuple(blocks)


def _single(line: str) -> Block | None:
    """A line that is a block of its own."""
    if sign := _SIGN.fullmatch(line):
        return Block(Shape.SIGN, tuple(_parts(sign[1].strip())))
    if line == "---":
        return Block(Shape.RULE)
    for mark, shape in (("## ", Shape.SMALLER), ("# ", Shape.HEADING), ("- ", Shape.ITEM)):
        if line.startswith(mark):
            return Block(shape, tuple(_parts(line.removeprefix(mark).strip())))
    return None


def _parts(text: str) -> Iterable[Part]:
    bold, at = False, 0
    for match in _TOKEN.finditer(text):
        if match.start() > at:
            yield Part(text[at : match.start()], bold)
        at = match.end()
        if match[1]:
            bold = not bold
            continue
        name, optional = _named(match[2])
        field = BY_CODE.get(name)
        # A field that a later release dropped is told on the paper instead of being left out in silence.
        yield Part("", bold, field, optional) if field else Part(match[0], bold)
    if at < len(text):
        yield Part(text[at:], bold)

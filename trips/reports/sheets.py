"""A report on paper: one table over as many sheets as it takes, totals below, who made it at the foot.

Column widths follow the text: each column gets what its longest word needs and a share of the rest by what its longest
cell would like; the sheet is turned when the table is too wide for it. Cells are wrapped here and handed over as plain
lines, which takes a tenth of the time that a paragraph in each cell would.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin
from typing import Any
from xml.sax.saxutils import escape  # nosec B406 # it parses nothing

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import BaseDocTemplate, Frame, LongTable, PageTemplate, Paragraph, Spacer, TableStyle

from trips.papers.sheet import BOLD, MARGIN, TEXT, Counting, paper_size, register_fonts, unprintable
from trips.reports.stamp import Stamp
from trips.reports.table import Kind, Table, Total, shown, without_shy

PADDING = 3.0
SIZES = (8.5, 7.5, 6.5)  # the largest at which the longest words of all columns fit beside each other
_TURN = 35.0  # degrees of the mark across a confidential sheet
_RIGHT = {Kind.NUMBER, Kind.MONEY}
_INK, _FAINT, _RULE, _STRIPE, _GAP = "#1f2937", "#6b7280", "#9ca3af", "#f3f4f6", "#fde8d0"


@dataclass(frozen=True, slots=True)
class _Grid:
    size: float
    widths: list[float]
    lines: list[list[str]]  # cells with their line breaks


def draw(table: Table, stamp: Stamp, *, confidential: bool = False) -> bytes:
    """The report as a PDF; `confidential` is written across every sheet."""
    register_fonts()
    table = without_shy(table)
    kinds = [column.kind for column in table.columns]
    texts = [[shown(cell, kind) for cell, kind in zip(row.cells, kinds, strict=True)] for row in table.rows]
    heads = [column.label for column in table.columns]
    page = paper_size()
    if _needs(heads, texts) > page[0] - 2 * MARGIN:
        page = landscape(page)
    grid = _grid(heads, texts, page[0] - 2 * MARGIN)
    out = io.BytesIO()
    top, foot = MARGIN + 30, MARGIN + 14
    document = BaseDocTemplate(out, pagesize=page, title=table.title, author="TripBuilder", subject=table.subtitle)
    frame = Frame(MARGIN, foot, page[0] - 2 * MARGIN, page[1] - top - foot, 0, 0, 0, 0)
    document.addPageTemplates(
        PageTemplate(
            frames=[frame], onPageEnd=lambda canvas, _doc: _furniture(canvas, page, table, stamp, confidential)
        )
    )
    document.build(_story(table, grid), canvasmaker=Counting)
    return out.getvalue()


def _widest(text: str, font: str, size: float, separator: str | None) -> float:
    return max((stringWidth(part, font, size) for part in text.split(separator)), default=0.0)


def _spans(heads: Sequence[str], texts: Sequence[Sequence[str]], size: float) -> list[tuple[float, float]]:
    """For each column what its longest word needs, and what its longest cell would like."""
    spans = []
    for at, head in enumerate(heads):
        least, wanted = _widest(head, BOLD, size, None), stringWidth(head, BOLD, size)
        for text in {row[at] for row in texts}:
            least = max(least, _widest(text, TEXT, size, None))
            wanted = max(wanted, _widest(text, TEXT, size, "\n"))
        spans.append((least + 2 * PADDING + 1, wanted + 2 * PADDING + 1))
    return spans


def _needs(heads: Sequence[str], texts: Sequence[Sequence[str]]) -> float:
    return sum(min(wanted, max(least, 150.0)) for least, wanted in _spans(heads, texts, SIZES[0]))


def _grid(heads: Sequence[str], texts: Sequence[Sequence[str]], room: float) -> _Grid:
    size, spans = SIZES[-1], _spans(heads, texts, SIZES[-1])
    for size in SIZES:
        spans = _spans(heads, texts, size)
        if sum(least for least, _wanted in spans) <= room:
            break
    widths = _shared(spans, room)
    lines = [
        [
            _wrapped(text, BOLD if row is heads else TEXT, size, width - 2 * PADDING)
            for text, width in zip(row, widths, strict=True)
        ]
        for row in (heads, *texts)
    ]
    return _Grid(size, widths, lines)


def _wrapped(text: str, font: str, size: float, room: float) -> str:
    """`text` in lines of this width; a word that is longer is cut where it ends."""
    if stringWidth(text, font, size) <= room:
        return text
    words = [piece for word in text.split(" ") for piece in _pieces(word, font, size, room)]
    return "\n".join(simpleSplit(" ".join(words), font, size, room))


def _pieces(word: str, font: str, size: float, room: float) -> list[str]:
    pieces = [""]
    for char in word:
        if pieces[-1] and stringWidth(pieces[-1].rpartition("\n")[2] + char, font, size) > room:
            pieces.append("")
        pieces[-1] += char
    return pieces


def _shared(spans: Sequence[tuple[float, float]], room: float) -> list[float]:
    """The widths of the columns: what each needs, and the rest by what each lacks of what it wants."""
    least, wanted = sum(span[0] for span in spans), sum(span[1] for span in spans)
    if wanted <= room:
        return [span[1] for span in spans]
    if least >= room:  # words longer than a column are broken
        return [span[0] * room / least for span in spans]
    share = (room - least) / (wanted - least)
    return [low + (high - low) * share for low, high in spans]


def _story(table: Table, grid: _Grid) -> list[Any]:
    small = ParagraphStyle("small", fontName=TEXT, fontSize=8.5, leading=12, textColor=HexColor(_INK))
    story: list[Any] = []
    if table.rows:
        body = LongTable(grid.lines, colWidths=grid.widths, repeatRows=1, hAlign="LEFT", splitInRow=1)
        body.setStyle(TableStyle(_style(table, grid)))
        story.append(body)
    else:
        story.append(Paragraph("Nobody and nothing is on this list.", small))
    story.append(Spacer(0, 8))
    story.extend(Paragraph(escape(line), small) for line in _told(table.totals))
    shaded = ["A shaded cell is missing."] if any(row.missing for row in table.rows) else []
    story.extend(Paragraph(escape(note), small) for note in (*shaded, *_unprintable(grid)))
    return story


def _told(totals: Sequence[Total]) -> list[str]:
    """The totals on one line, those of each group on a line of their own."""
    lines: dict[str, list[str]] = {}
    for total in totals:
        lines.setdefault(total.group, []).append(f"{total.label}: {total.value}")
    return [f"{group + ' – ' if group else ''}{'   ·   '.join(told)}" for group, told in lines.items()]


def _style(table: Table, grid: _Grid) -> list[tuple[Any, ...]]:
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), TEXT, grid.size, grid.size * 1.25),
        ("FONT", (0, 0), (-1, 0), BOLD, grid.size, grid.size * 1.25),
        ("TEXTCOLOR", (0, 0), (-1, -1), HexColor(_INK)),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("LEFTPADDING", (0, 0), (-1, -1), PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), PADDING),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, HexColor(_INK)),
        ("LINEBELOW", (0, 1), (-1, -1), 0.25, HexColor(_RULE)),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [None, HexColor(_STRIPE)]),
    ]
    style += [("ALIGN", (at, 0), (at, -1), "RIGHT") for at, column in enumerate(table.columns) if column.kind in _RIGHT]
    gaps = (
        (at, line)
        for line, row in enumerate(table.rows, 1)
        for at, column in enumerate(table.columns)
        if column.label in row.missing
    )
    return [*style, *(("BACKGROUND", cell, cell, HexColor(_GAP)) for cell in gaps)]


def _unprintable(grid: _Grid) -> list[str]:
    """Letters that the font does not have leave boxes; the other files have them."""
    strange = {char for row in grid.lines for cell in row for char in unprintable(cell)}
    if not strange:
        return []
    return [f"{len(strange)} letters cannot be printed here and show as boxes; the CSV and Excel files have them."]


def _furniture(canvas: Any, page: tuple[float, float], table: Table, stamp: Stamp, confidential: bool) -> None:
    """What stands on every sheet: the heading, the foot, and over the rows the mark where it is confidential."""
    canvas.saveState()
    if confidential:
        _watermark(canvas, page, stamp)
    canvas.setFillColor(HexColor(_INK))
    canvas.setFont(BOLD, 13)
    canvas.drawString(MARGIN, page[1] - MARGIN - 8, table.title)
    canvas.setFont(TEXT, 9)
    canvas.setFillColor(HexColor(_FAINT))
    canvas.drawString(MARGIN, page[1] - MARGIN - 21, table.subtitle)
    canvas.setFont(TEXT, 7.5)
    canvas.drawString(MARGIN, MARGIN - 8, f"{'Confidential. ' if confidential else ''}Made by {stamp}")
    canvas.restoreState()


def _watermark(canvas: Any, page: tuple[float, float], stamp: Stamp) -> None:
    text = f"Confidential – {stamp.name} – {str(stamp).removeprefix(f'{stamp.name}, ')}"
    turn = radians(_TURN)
    room = min(page[0] / cos(turn), page[1] / sin(turn)) - 3 * MARGIN
    size = min(30.0, 30 * room / stringWidth(text, BOLD, 30))
    canvas.saveState()
    canvas.setFillColor(HexColor(_FAINT), alpha=0.16)
    canvas.setFont(BOLD, size)
    canvas.translate(page[0] / 2, page[1] / 2)
    canvas.rotate(_TURN)
    canvas.drawCentredString(0, 0, text)
    canvas.restoreState()

"""A filled-in wording as PDF. A draft says so across each sheet."""

from __future__ import annotations

import io
from math import cos, radians, sin
from typing import Any
from xml.sax.saxutils import escape  # nosec B406 # it parses nothing

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    HRFlowable,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from trips.papers.sheet import BOLD, MARGIN, TEXT, Counting, paper_size, register_fonts, unprintable
from trips.papers.wording import Block, Filled, Part, Shape

_SIDE = 64.0
_INK, _FAINT, _ALERT = "#1f2937", "#6b7280", "#b91c1c"
_TURN = 35.0
_BASE = ParagraphStyle("text", fontName=TEXT, fontSize=10.5, leading=15, textColor=HexColor(_INK), spaceAfter=8)
_STYLES = {
    Shape.TEXT: _BASE,
    Shape.ITEM: ParagraphStyle("item", _BASE, leftIndent=16, bulletIndent=4, spaceAfter=4),
    Shape.HEADING: ParagraphStyle(
        "heading", _BASE, fontName=BOLD, fontSize=13, leading=18, spaceBefore=8, keepWithNext=1
    ),
    Shape.SMALLER: ParagraphStyle("smaller", _BASE, fontName=BOLD, spaceBefore=4, spaceAfter=4, keepWithNext=1),
}
_TITLE = ParagraphStyle("title", _BASE, fontName=BOLD, fontSize=17, leading=22, spaceAfter=14)
_SMALL = ParagraphStyle("small", _BASE, fontSize=8.5, leading=11, textColor=HexColor(_FAINT), spaceAfter=0)


def draw(paper: Filled, *, foot: str, mark: str = "") -> bytes:
    """The paper as a PDF; `foot` stands on each sheet, `mark` is written across it."""
    register_fonts()
    page = paper_size()
    out = io.BytesIO()
    document = BaseDocTemplate(out, pagesize=page, title=paper.title, author="TripBuilder")
    top, bottom = MARGIN + 24, MARGIN + 18
    frame = Frame(_SIDE, bottom, page[0] - 2 * _SIDE, page[1] - top - bottom, 0, 0, 0, 0)
    document.addPageTemplates(
        PageTemplate(frames=[frame], onPageEnd=lambda canvas, _doc: _furniture(canvas, page, foot, mark))
    )
    document.build(_story(paper, page[0] - 2 * _SIDE), canvasmaker=Counting)
    return out.getvalue()


def strange_letters(paper: Filled) -> set[str]:
    """Letters of the paper that would be printed as boxes."""
    texts = (paper.title, *(part.text for block in paper.blocks for part in block.parts))
    return unprintable("".join(set("".join(texts))))


def _story(paper: Filled, room: float) -> list[Flowable]:
    story: list[Flowable] = [Paragraph(escape(paper.title), _TITLE)] if paper.title else []
    for block in paper.blocks:
        story.extend(_flowables(block, room))
    return story or [Spacer(0, 1)]


def _flowables(block: Block, room: float) -> list[Flowable]:
    if block.shape is Shape.RULE:
        return [HRFlowable(width="100%", thickness=0.5, color=HexColor(_FAINT), spaceBefore=4, spaceAfter=10)]
    text = "".join(_marked(part) for part in block.parts)
    if block.shape is Shape.SIGN:
        return [_signature(text, room)]
    bullet = "•" if block.shape is Shape.ITEM else None
    return [Paragraph(text, _STYLES[block.shape], bulletText=bullet)]


def _marked(part: Part) -> str:
    """As the library's own mark-up; the text itself can hold none."""
    text = escape(part.text).replace("\n", "<br/>")
    if part.missing:
        text = f'<font color="{_ALERT}">{text}</font>'
    return f"<b>{text}</b>" if part.bold else text


def _signature(label: str, room: float) -> Flowable:
    """A line for the name and one for the date, which stay together."""
    cells = [["", "", ""], [Paragraph(label or "Signature", _SMALL), "", Paragraph("Date", _SMALL)]]
    table = Table(cells, colWidths=[room * 0.6, room * 0.05, room * 0.35], rowHeights=[40, None])
    lines = [("LINEBELOW", (at, 0), (at, 0), 0.7, HexColor(_INK)) for at in (0, 2)]
    table.setStyle(TableStyle([*lines, ("LEFTPADDING", (0, 0), (-1, -1), 0), ("TOPPADDING", (0, 1), (-1, 1), 3)]))
    return KeepTogether([table, Spacer(0, 6)])


def _furniture(canvas: Any, page: tuple[float, float], foot: str, mark: str) -> None:
    canvas.saveState()
    if mark:
        _across(canvas, page, mark)
    canvas.setFillColor(HexColor(_FAINT))
    canvas.setFont(TEXT, 7.5)
    canvas.drawString(MARGIN, MARGIN - 8, foot)
    canvas.restoreState()


def _across(canvas: Any, page: tuple[float, float], mark: str) -> None:
    turn = radians(_TURN)
    room = min(page[0] / cos(turn), page[1] / sin(turn)) - 3 * MARGIN
    canvas.saveState()
    canvas.setFillColor(HexColor(_FAINT), alpha=0.16)
    canvas.setFont(BOLD, min(60.0, 60 * room / stringWidth(mark, BOLD, 60)))
    canvas.translate(page[0] / 2, page[1] / 2)
    canvas.rotate(_TURN)
    canvas.drawCentredString(0, 0, mark)
    canvas.restoreState()

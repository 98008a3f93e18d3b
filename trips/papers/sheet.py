"""What everything that is printed shares: the fonts, the office's paper, and sheets that say how many they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

FONTS = Path(__file__).resolve().parent.parent / "fonts"
TEXT, BOLD = "DejaVuSansCondensed", "DejaVuSansCondensed-Bold"
MARGIN = 36.0


@cache
def register_fonts() -> None:
    for name in (TEXT, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{name}.ttf")))
    # There is no italic: what a paragraph asks for so is printed upright.
    pdfmetrics.registerFontFamily(TEXT, normal=TEXT, bold=BOLD, italic=TEXT, boldItalic=BOLD)


def paper_size() -> tuple[float, float]:
    return LETTER if settings.REPORT_PAPER == "letter" else A4


def unprintable(text: str) -> set[str]:
    """The letters of `text` that the font does not have; printed, they would be boxes."""
    register_fonts()
    known = pdfmetrics.getFont(TEXT).face.charToGlyph
    return {char for char in text if char >= " " and ord(char) not in known}


class Counting(Canvas):
    """A canvas that writes "2 of 3" once it knows how many sheets there are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sheets: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self.sheets.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, sheet in enumerate(self.sheets, 1):
            self.__dict__.update(sheet)
            self.setFont(TEXT, 7.5)
            self.drawRightString(self._pagesize[0] - MARGIN, MARGIN - 8, f"{number} of {len(self.sheets)}")
            super().showPage()
        super().save()

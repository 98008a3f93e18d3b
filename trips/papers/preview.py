"""Pages of a PDF as pictures: phones show no PDF inside a page, and a picture runs nothing that a PDF may hold."""

from __future__ import annotations

import io
from threading import Lock
from typing import IO

PICTURE_TYPE = "image/jpeg"
MOST_PAGES = 10
_WIDTH = 1100  # pixels: enough to read a passport's second line
_MOST_HEIGHT = 4000
_PDFIUM = Lock()  # the library may be used by one thread at a time


class Unreadable(ValueError):
    """The PDF is damaged or has a password."""


def pages_in(data: bytes | IO[bytes]) -> int:
    """How many pages the PDF has; raises Unreadable."""
    import pypdfium2  # noqa: PLC0415 - loads a library of its own, and most requests show no PDF

    with _PDFIUM:
        try:
            with pypdfium2.PdfDocument(data) as document:
                return len(document)
        except pypdfium2.PdfiumError as error:
            raise Unreadable(str(error)) from None


def picture(data: bytes | IO[bytes], page: int) -> bytes:
    """Page `page` (from 1) as JPEG; raises Unreadable, and IndexError where there is no such page."""
    import pypdfium2  # noqa: PLC0415 - as above

    out = io.BytesIO()
    with _PDFIUM:
        try:
            with pypdfium2.PdfDocument(data) as document:
                if not 1 <= page <= min(len(document), MOST_PAGES):
                    raise IndexError(page)
                sheet = document[page - 1]
                width, height = sheet.get_size()
                scale = min(_WIDTH / max(width, 1), _MOST_HEIGHT / max(height, 1))
                sheet.render(scale=scale).to_pil().convert("RGB").save(out, "JPEG", quality=80)
        except pypdfium2.PdfiumError as error:
            raise Unreadable(str(error)) from None
    return out.getvalue()

"""Files for tests: small, real ones, in a private folder that is empty before each test and gone after the last."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


@pytest.fixture(autouse=True)
def private_folder() -> Iterator[Path]:
    shutil.rmtree(settings.PRIVATE_ROOT, ignore_errors=True)
    yield Path(settings.PRIVATE_ROOT)
    shutil.rmtree(settings.PRIVATE_ROOT, ignore_errors=True)


def pdf(text: str = "Invented", pages: int = 1) -> bytes:
    import io

    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out)
    for number in range(pages):
        canvas.drawString(72, 720, f"{text} {number + 1}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def body_of(answer: Any) -> bytes:
    """What an answer holds, sent at once or in pieces."""
    return bytes(b"".join(answer.streaming_content) if answer.streaming else answer.content)


@pytest.fixture
def sheet() -> Callable[..., SimpleUploadedFile]:
    """`sheet("mou.pdf", text="other")`: a PDF as a browser uploads it; `content` for anything else."""

    def make(name: str, content: bytes | None = None, text: str = "Invented", pages: int = 1) -> SimpleUploadedFile:
        return SimpleUploadedFile(name, pdf(text, pages) if content is None else content)

    return make

"""Pictures on their way in: drawn anew, so that what is kept is the picture and nothing that came along in its file.

A phone writes where it stood into each photo, and a file can be a picture and a program at once. JPEG, PNG and WebP are
decoded and encoded again without any of their other parts. HEIC is kept as it came: what decodes it is not installed.
"""

from __future__ import annotations

import io
import warnings
from threading import Lock
from typing import Any

from django.core.files.base import ContentFile, File

# So many dots are decoded: an A4 page with 600 dots an inch has 35 million, and each takes four bytes of memory.
MOST_DOTS = 50_000_000
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_MODES = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"), "WEBP": ("RGB", "RGBA")}
_ONE_AT_A_TIME = Lock()


class TooManyDots(ValueError):
    """Drawn, it would take more memory than there may be."""


def drawn_anew(file: File, content_type: str) -> File | None:
    """The same picture in a fresh file of the same name, upright; None for what cannot be drawn. Raises TooManyDots."""
    kind = _FORMATS.get(content_type)
    if kind is None:
        return None
    file.seek(0)
    with _ONE_AT_A_TIME:
        content = _drawn(file, kind)
    file.seek(0)
    return ContentFile(content, name=file.name) if content else None


def _drawn(file: File, kind: str) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 - slow to load, and few requests bring a picture

    try:
        with warnings.catch_warnings():
            # Pillow only warns of the first of its two limits; ours is lower than both.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=[kind]) as picture:
                if picture.width * picture.height > MOST_DOTS:
                    raise TooManyDots
                tables = getattr(picture, "quantization", None)
                upright: Any = ImageOps.exif_transpose(picture)
    except Image.DecompressionBombError:
        raise TooManyDots from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow raises for a damaged file
        if isinstance(error, TooManyDots):
            raise
        return b""
    if upright.mode not in _MODES[kind]:
        upright = upright.convert("RGB")
    upright.info = {name: value for name, value in upright.info.items() if name == "transparency"}
    out = io.BytesIO()
    upright.save(out, kind, **_how(kind, tables))
    return out.getvalue()


def _how(kind: str, tables: Any) -> dict[str, Any]:
    """A JPEG keeps the quality it has: its own tables lose next to nothing a second time."""
    if kind == "JPEG":
        return {"qtables": tables} if tables else {"quality": 92}
    return {"quality": 92} if kind == "WEBP" else {"optimize": False}

"""Pictures are drawn anew: the same to look at, upright, and with nothing that came along in their files."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from PIL import Image, PngImagePlugin

from tests import factories
from tests.trips.papers.conftest import pdf
from tests.trips.papers.test_upload import content_of, said
from trips.services import documents

pytestmark = pytest.mark.django_db
PLACE = "Havana 23.1136"
ROTATED = 6  # "turn me to the right", as a phone held upright writes it


def photo(kind: str, size: tuple[int, int] = (40, 20), mode: str = "RGB") -> bytes:
    """Left half white, right half black, with words of the place where it was taken."""
    picture = Image.new(mode, size)
    picture.paste(Image.new(mode, (size[0] // 2, size[1]), "white"))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = ROTATED, PLACE
    out = io.BytesIO()
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", PLACE)
    picture.save(out, kind, exif=exif, **({"pnginfo": notes} if kind == "PNG" else {}))
    return out.getvalue()


def taken(content: bytes, name: str = "scan") -> documents.Uploaded:
    file = ContentFile(content, name=name)
    return documents.upload(owner=factories.PassengerFactory(), files=[file], kind="other", by=None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_kept_upright_and_without_the_place_it_was_taken_at(kind):
    content = photo(kind) + b"<script>a program</script>"

    done = taken(content)

    (document,) = done.kept
    stored = content_of(document)
    picture = Image.open(io.BytesIO(stored))
    assert (done.refused, done.as_it_came) == ([], [])
    assert (picture.format, picture.size, len(picture.getexif())) == (kind, (20, 40), 0)
    grey = picture.convert("L")
    assert (grey.getpixel((10, 5)) > 250, grey.getpixel((10, 35)) < 5) == (True, True)
    assert not any(word in stored for word in (PLACE.encode(), b"<script>"))
    assert (document.content_type, document.size) == (f"image/{kind.lower()}", len(stored))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_pictures_of_every_kind_of_colour_are_drawn(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    out = io.BytesIO()
    Image.new(mode, (3, 3)).save(out, kind)

    done = taken(out.getvalue())

    assert (len(done.kept), done.refused, done.as_it_came) == (1, [], [])


def test_the_same_photo_again_is_a_twin():
    passenger, content = factories.PassengerFactory(), photo("JPEG")

    done = [
        documents.upload(owner=passenger, files=[ContentFile(content, name="a.jpg")], kind="other", by=None)
        for _ in range(2)
    ]

    assert [len(one.kept) for one in done] == [1, 0]
    assert "is here already" in done[1].refused[0]


def test_what_cannot_be_drawn_is_kept_as_it_came_and_said(admin_client):
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"0" * 20
    broken = photo("JPEG")[:-200]
    passenger = factories.PassengerFactory()
    files = [
        ContentFile(heic, name="phone.heic"),
        ContentFile(broken, name="half.jpg"),
        ContentFile(pdf(), name="mou.pdf"),
    ]

    answer = admin_client.post(
        reverse("admin:trips_passenger_filing", args=[passenger.pk]), {"files": files, "kind": "other"}
    )

    why = "is kept as it came: it cannot be drawn anew, so what it tells of place and device stays in it."
    assert said(answer)[1:] == [f"“phone.heic” {why}", f"“half.jpg” {why}"]
    assert content_of(passenger.documents.get(original_name="phone.heic")) == heic


def bomb(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7_100, 12_000, 60_000])
def test_a_picture_that_would_fill_the_memory_is_refused_by_name(side):
    done = taken(bomb(side, side), "bomb.png")

    assert (done.kept, done.refused) == (
        [],
        ["“bomb.png” has more than 50 million dots. Scan or photograph it with a lower resolution."],
    )

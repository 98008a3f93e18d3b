"""Invented people and words for the seeds: names from word lists, `example.com`, numbers kept free for fiction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    """Ada Alma Amir Anouk Arlo Asha Bela Bruno Carla Ciro Cora Dario Delia Edda Elio Elsa Emil Enzo Esme Farah Felix
Fiona Gia Greta Hana Hugo Ilse Imani Ines Ivo Jana Jonas Juno Kai Kofi Lara Leila Levi Lina Luca Mabel Malik Mara
Milo Mina Nadia Nico Nora Odin Olga Omar Otto Petra Pia Quinn Rafi Rhea Rosa Said Selma Silas Tara Theo Tilda Uma
Vera Viktor Wanda Xenia Yara Yusuf Zara Zeno"""
)
MEN = frozenset(
    _words(
        """Amir Arlo Bela Bruno Ciro Dario Elio Emil Enzo Felix Hugo Ivo Jonas Kai Kofi Levi Luca Malik Milo Nico Odin
Omar Otto Rafi Said Silas Theo Viktor Yusuf Zeno"""
    )
)
EITHER = frozenset({"Juno", "Quinn"})  # of a woman or a man
# Surnames of two halves: nobody is likely to be called Fernwick or Saltmere, and there are thousands.
_SURNAME_STARTS = _words(
    """Alder Amber Ash Birch Bram Brook Cedar Clay Cliff Clover Copper Corn Dove Elder Elm Fern Flint Fox Frost Gold
Grain Gull Haw Hazel Heath Hollow Iron Ivy Juniper Kestrel Lark Laurel Linden Loam Maple Marsh Mill Moss Nettle
North Oak Otter Pebble Pine Quill Reed Ridge Rook Rowan Rush Sage Salt Sand Sedge Shale Silver Slate Sparrow Stone
Swift Teal Thistle Thorn Tide Vale Willow Winter Wren Yarrow"""
)
_SURNAME_ENDS = _words(
    """beck bourne by combe cote croft dale den fell field ford garth gate grove ham haven hollow holm hurst keep
land ley mead mere more ness over ridge row sey shaw shore side stead stow thorpe ton vale wade water way well wick
wold wood worth"""
)
_STREETS = ("Lantern Lane", "Harbour Row", "Mill Street", "Orchard Way", "Station Road", "Quarry Hill", "Canal Walk")
_TOWNS = ("Brightwater", "Oldbridge", "Pinehaven", "Saltcliff", "Stonemead", "Westerfold", "Larkspur Falls")
# Area codes in use; with 555-0100 to 555-0199 behind them they ring nowhere.
_AREA_CODES = _words(
    """201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 252
253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320 321
323 325 330"""
)
RELATIONSHIPS = ("Spouse", "Sister", "Brother", "Daughter", "Son", "Friend", "Parent", "Neighbour")
HEALTH = ("Good", "Excellent", "Fair, walks with a stick", "Good, wears hearing aids", "Good for my age")
CONDITIONS = (
    "Mild asthma, carries an inhaler",
    "Allergic to peanuts",
    "High blood pressure, under control",
    "Knee replaced, slow on stairs",
    "Diabetes type 2",
)
MEDICINES = ("Lisinopril 10 mg, mornings", "Metformin 500 mg twice a day", "Ibuprofen as needed", "Insulin with meals")
FILLERS = ("n/a", "N/A", "none", "None", "no", "-")


@dataclass(frozen=True, slots=True)
class Person:
    first: str
    last: str
    email: str
    phone: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


class Inventor:
    """Invents people who share neither name, e-mail nor number. The same `Random` invents the same people."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._names: set[str] = set()
        self._phones = [f"+1{area}55501{last:02d}" for area in _AREA_CODES for last in range(100)]
        rng.shuffle(self._phones)

    def person(self) -> Person:
        """Raises IndexError after 6,000 people: then the numbers are used up."""
        while True:
            first, last = self._rng.choice(FIRST_NAMES), self.surname()
            if f"{first} {last}" not in self._names:
                break
        self._names.add(f"{first} {last}")
        return Person(first, last, f"{first}.{last}@example.com".lower(), self._phones.pop())

    def surname(self) -> str:
        start, end = self._rng.choice(_SURNAME_STARTS), self._rng.choice(_SURNAME_ENDS)
        return start if start.lower() == end else start + end

    def relative(self, person: Person) -> Person:
        """Somebody of the same family, reached by the same e-mail and phone."""
        others = [name for name in FIRST_NAMES if name != person.first]
        return Person(self._rng.choice(others), person.last, person.email, person.phone)

    def elsewhere(self, person: Person) -> Person:
        """The same person under another e-mail and phone, as from work."""
        address = f"{person.first}.{person.last}.work@example.com".lower()
        return Person(person.first, person.last, address, self._phones.pop())

    def any_phone(self) -> str:
        """A number that may be somebody's."""
        return f"+1{self._rng.choice(_AREA_CODES)}55501{self._rng.randrange(100):02d}"

    def address(self) -> tuple[str, str, str]:
        """Street, town and ZIP code."""
        rng = self._rng
        return f"{rng.randint(1, 399)} {rng.choice(_STREETS)}", rng.choice(_TOWNS), f"{rng.randint(10000, 99899)}"

    def passport(self) -> str:
        return f"{self._rng.choice('ACEHKX')}{self._rng.randrange(10**7, 10**8)}"

    def day(self, first: dt.date, last: dt.date) -> dt.date:
        """A day between the two, both included."""
        return first + dt.timedelta(days=self._rng.randint(0, (last - first).days))

    def text(self, sentences: Sequence[str], length: int) -> str:
        """Sentences in some order until `length` characters are reached."""
        parts: list[str] = []
        size = 0
        while size < length:
            parts.append(self._rng.choice(sentences))
            size += len(parts[-1]) + 1
        return " ".join(parts)

"""The three forms of a trip's programme: an itinerary entry, a flight, a transfer. Small, and quick by keyboard."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from trips import programme_rules
from trips.admin.choosing import chooser
from trips.days import DayField
from trips.enums import SEATED, Leg
from trips.forms import RuledForm
from trips.models import Flight, ItineraryItem, Passenger, Transfer, Trip
from trips.permissions import may_see
from trips.scope import narrow_choices
from trips.services import travel

_PLAIN = {"class": "enrol-input"}
# The rules register themselves; a form without them would take anything.
RULES = programme_rules.__name__


def _day() -> forms.DateInput:
    return forms.DateInput({**_PLAIN, "type": "date"}, format="%Y-%m-%d")


def _time() -> forms.TimeInput:
    return forms.TimeInput({**_PLAIN, "type": "time"}, format="%H:%M")


def _text(**more: Any) -> forms.TextInput:
    return forms.TextInput({**_PLAIN, "autocomplete": "off", **more})


class ProgrammeForm(RuledForm):
    """`first` is where the cursor goes in an empty form."""

    first: ClassVar[str] = ""

    def __init__(self, *args: Any, trip: Trip, **kwargs: Any) -> None:
        self.trip = trip
        super().__init__(*args, **kwargs)

    def focus(self, name: str = "") -> None:
        self.fields[name or self.first].widget.attrs["data-first"] = True


class ItineraryForm(ProgrammeForm):
    first = "title"

    class Meta:
        model = ItineraryItem
        fields: ClassVar[list[str]] = ["day", "starts_at", "ends_at", "title", "place", "note"]
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"day": DayField}
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "day": _day(),
            "starts_at": _time(),
            "ends_at": _time(),
            "title": _text(placeholder="Walk through the old town"),
            "place": _text(),
            "note": _text(),
        }

    def __init__(self, *args: Any, trip: Trip, **kwargs: Any) -> None:
        super().__init__(*args, trip=trip, **kwargs)
        days = programme_rules.days_of(trip)
        if days is not None:
            # The picker opens there; what is typed outside is refused in our words.
            self.fields["day"].widget.attrs |= {"min": f"{days[0]:%Y-%m-%d}", "max": f"{days[1]:%Y-%m-%d}"}


class FlightForm(ProgrammeForm):
    first = "number"

    class Meta:
        model = Flight
        fields: ClassVar[list[str]] = [
            "leg",
            "number",
            "from_place",
            "leaves_on",
            "leaves_at",
            "to_place",
            "arrives_on",
            "arrives_at",
            "passenger",
            "booking_code",
            "note",
        ]
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"leaves_on": DayField, "arrives_on": DayField}
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "leg": forms.Select(_PLAIN),
            "number": _text(placeholder="AA 123"),
            "from_place": _text(placeholder="Miami"),
            "leaves_on": _day(),
            "leaves_at": _time(),
            "to_place": _text(placeholder="Havana"),
            "arrives_on": _day(),
            "arrives_at": _time(),
            "passenger": forms.Select(_PLAIN),
            "booking_code": _text(),
            "note": _text(),
        }
        labels: ClassVar[dict[str, str]] = {
            "leaves_at": "at",
            "arrives_at": "at",
            "passenger": "Whose",
            "booking_code": "Booking code",
        }

    def __init__(self, *args: Any, trip: Trip, people: list[Passenger] | None, **kwargs: Any) -> None:
        super().__init__(*args, trip=trip, **kwargs)
        # Landing on the day of leaving is the rule; left empty it is filled in.
        self.fields["arrives_on"].required = False
        if people is None:
            del self.fields["passenger"]
            return
        field: Any = self.fields["passenger"]
        field.queryset = trip.passengers.filter(pk__in=[one.pk for one in people])
        field.choices = [("", "The group’s"), *((one.pk, str(one)) for one in people)]

    def clean_number(self) -> str:
        return " ".join(self.cleaned_data["number"].upper().split())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("arrives_on") and "arrives_on" not in self.errors:
            cleaned["arrives_on"] = cleaned.get("leaves_on")
        return cleaned


class TransferForm(ProgrammeForm):
    first = "starts_at"

    class Meta:
        model = Transfer
        fields: ClassVar[list[str]] = [
            "leg",
            "day",
            "starts_at",
            "from_place",
            "to_place",
            "seats",
            "vendor",
            "flights",
            "note",
        ]
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"day": DayField}
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "leg": forms.Select(_PLAIN),
            "day": _day(),
            "starts_at": _time(),
            "from_place": _text(placeholder="Airport"),
            "to_place": _text(placeholder="Hotel"),
            "seats": forms.NumberInput({**_PLAIN, "min": 1}),
            "vendor": forms.Select(_PLAIN),
            "flights": forms.CheckboxSelectMultiple(),
            "note": _text(),
        }
        labels: ClassVar[dict[str, str]] = {"flights": "Meets these flights (none ticked: takes everybody)"}

    def __init__(self, *args: Any, trip: Trip, flights: list[Flight], user: Any, site: Any, **kwargs: Any) -> None:
        super().__init__(*args, trip=trip, **kwargs)
        narrow_choices(user, self)
        if may_see(user, "trips.vendor"):
            self.fields["vendor"].widget = chooser(Transfer, "vendor", site, self.fields["vendor"])
        else:
            del self.fields["vendor"]
        field: Any = self.fields["flights"]
        field.queryset = trip.flights.all()
        named = may_see(user, "trips.passenger")
        field.choices = [(one.pk, _flight(one, named=named)) for one in flights]
        if not flights:
            del self.fields["flights"]

    def clean(self) -> dict[str, Any]:
        """A ride that is gone before the flight lands meets nobody."""
        cleaned = super().clean() or self.cleaned_data
        leg, met = cleaned.get("leg"), list(cleaned.get("flights") or ())
        for flight in met:
            if leg and flight.leg != leg:
                what = Leg(flight.leg).label.lower()
                self.add_error(
                    "flights", f"Flight {flight} is of the {what}, this transfer of the {Leg(leg).label.lower()}."
                )
        ride = Transfer(leg=leg or "", day=cleaned.get("day"), starts_at=cleaned.get("starts_at"))  # type: ignore[misc]
        for flight in travel.misses(ride, [one for one in met if one.leg == leg]):
            self.add_error("starts_at", _miss(ride, flight))
        return cleaned


def _flight(flight: Flight, *, named: bool) -> str:
    whose = "" if flight.passenger is None else f", {flight.passenger}" if named else ", one traveller’s"
    at = f", {flight.time:%H:%M}" if flight.time else ""
    return f"{flight} {flight.where}{at}{whose}".strip()


def _miss(ride: Transfer, flight: Flight) -> str:
    rides = f"{ride.starts_at:%H:%M}" if ride.starts_at else ""
    if ride.leg == Leg.ARRIVAL:
        return f"At {rides} flight {flight} has not landed yet ({flight.time:%H:%M})."
    return f"At {rides} flight {flight} has left already ({flight.time:%H:%M})."


def booked(trip: Trip) -> list[Passenger]:
    """Those booked, with what says how they come."""
    people = trip.passengers.filter(attendance__in=SEATED).select_related("trip")
    return list(travel.with_travel(people))

"""Forms of the business: they obey the staff rules and never take back what others changed meanwhile.

A form carries a signed digest of each value it was shown with. When it comes back, a field nobody touched keeps what
the database holds now, and a field changed on both sides is an error that names the other value. Weighed against row
versions ("someone changed this record, start over"): those refuse a save because of a field nobody looked at, and
rows here change by themselves all the time. Digests and not the values, because passports and health must not
stand in the page twice, and because nothing needs them back: only "is it still the same?".
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import formats
from django.utils.text import Truncator
from unfold.widgets import UnfoldAdminTextInputWidget

from trips import rules
from trips.choices import live_values, suggestions
from trips.encryption import keyed_hash
from trips.models import (
    Contact,
    Cost,
    Document,
    EmergencyContact,
    HealthRecord,
    Licence,
    Passenger,
    Passport,
    Payment,
    Trip,
    Vendor,
)
from trips.services.enrolment import hold
from trips.services.payments import hold_payer
from trips.text import fold_name

RENDERED = "rendered_values"
_SALT = "trips.forms.rendered"
LOST = "This page has lost what it was shown with, so nothing was saved. Open it again and repeat your changes."


class RenderedField(forms.CharField):
    """Carries the digests of a form's values; never itself a change."""

    def __init__(self) -> None:
        super().__init__(required=False, widget=forms.HiddenInput, label="")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class RenderedValues(forms.ModelForm):
    """Base of forms whose rows others change too. Saving writes only the columns that were touched."""

    # Ends the sentence "Changed meanwhile to X"; a subclass that knows by whom says so (" in the office").
    meanwhile_source: ClassVar[str] = ""

    # Shown instead of what the row holds, by field; saving the form as it stands saves them.
    earlier: ClassVar[Mapping[str, Any]] = {}

    rendered_values = RenderedField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if RENDERED in self.fields and self._is_change:
            self.initial[RENDERED] = self._token({name: self._digest(name, self._shown(name)) for name in self.guarded})
            for name in self.earlier:
                self.fields[name].help_text = f"Now: {self._words(name)}"
            self.initial.update(self.earlier)

    # What a field shows, as text

    @cached_property
    def guarded(self) -> list[str]:
        """The fields that are compared: all editable ones but files, which a browser never sends back unchanged."""
        return [
            name
            for name, field in self.fields.items()
            if name != RENDERED and not field.disabled and not isinstance(field, forms.FileField)
            if name in self._model_fields
        ]

    @cached_property
    def _model_fields(self) -> dict[str, models.Field[Any, Any]]:
        return {field.name: field for field in self._meta.model._meta.fields}

    @property
    def _is_change(self) -> bool:
        return self.instance.pk is not None and not self.instance._state.adding

    def _shown(self, name: str) -> str:
        return self._as_text(name, self._model_fields[name].value_from_object(self._stored))

    @cached_property
    def _stored(self) -> Any:
        """The row as the database holds it; taken before cleaning writes what was typed onto the instance."""
        return copy.copy(self.instance)

    def _as_text(self, name: str, value: Any) -> str:
        """One spelling for what a browser gets and what it sends back: its own folding of text taken out."""
        field = self.fields[name]
        if isinstance(value, bool):
            return str(value)
        shown = field.widget.format_value(field.prepare_value(value))
        if isinstance(shown, list | tuple):
            shown = "\x1f".join(str(part) for part in shown)
        text = str("" if shown is None else shown).replace("\r\n", "\n").replace("\r", "\n")
        if not isinstance(field.widget, forms.Textarea):
            text = text.replace("\n", "")
        return text.strip()

    def _digest(self, name: str, text: str, key_id: str | None = None) -> str | None:
        meta = self.instance._meta
        return keyed_hash(f"{meta.label_lower}:{self.instance.pk}:{name}={text}", key_id)

    def _token(self, digests: dict[str, str | None]) -> str:
        return signing.dumps(
            {"model": self.instance._meta.label_lower, "pk": str(self.instance.pk), "values": digests}, salt=_SALT
        )

    # What came back

    @cached_property
    def rendered(self) -> dict[str, str] | None:
        """Digests by field of the form that was shown; None when they are missing, altered or of another row."""
        try:
            shown = signing.loads(self.data.get(self.add_prefix(RENDERED)) or "", salt=_SALT)
        except signing.BadSignature:
            return None
        if (shown["model"], shown["pk"]) != (self.instance._meta.label_lower, str(self.instance.pk)):
            return None
        return shown["values"]

    def _differs(self, name: str, text: str) -> bool:
        """Whether `text` is not what the form was shown with; a value it was not shown with counts as new."""
        digest = (self.rendered or {}).get(name)
        return digest is None or self._digest(name, text, digest.partition(":")[0]) != digest

    @cached_property
    def touched(self) -> list[str]:
        """The fields a person changed, whatever the database holds by now."""
        if not self._is_change:
            return super().changed_data
        names = [name for name in self.guarded if self._differs(name, self._as_text(name, self[name].data))]
        return names + [name for name in super().changed_data if name not in self.guarded]

    @property
    def changed_data(self) -> list[str]:
        return self.touched

    def _guards(self) -> bool:
        return self._is_change and RENDERED in self.fields

    def _clean_fields(self) -> None:
        if not self._guards():
            super()._clean_fields()  # type: ignore[misc]
            return
        if self.rendered is None:
            self.add_error(None, LOST)
        kept = {name: field for name, field in self.fields.items() if name in self.guarded and name not in self.touched}
        for name in kept:
            self.cleaned_data[name] = getattr(self._stored, name)
        everything = self.fields
        self.fields = {name: field for name, field in everything.items() if name not in kept}
        try:
            super()._clean_fields()  # type: ignore[misc]
        finally:
            self.fields = everything
        self._compare_with_database()

    def _compare_with_database(self) -> None:
        """Refuse what both sides changed. Should the page go out again, fields nobody touched show what they keep."""
        if self.rendered is None:
            return
        digests: dict[str, str | None] = dict(self.rendered)
        answered: Any = self.data.copy()  # type: ignore[attr-defined]
        for name in self.guarded:
            shown = self._shown(name)
            if not self._differs(name, shown):
                continue
            if name not in self.touched:
                answered[self.add_prefix(name)] = shown
            elif name in self.cleaned_data and self._as_text(name, self.cleaned_data[name]) != shown:
                said = f"Changed meanwhile to {self._words(name)}{self.meanwhile_source}; save again to keep yours."
                self.add_error(name, said)
            else:
                continue  # both made the same change, or what was typed is an error of its own
            digests[name] = self._digest(name, shown)
        if digests != self.rendered:
            answered[self.add_prefix(RENDERED)] = self._token(digests)
            self.data = answered

    def _words(self, name: str) -> str:
        value = getattr(self._stored, name)
        if value in (None, "", []):
            return "nothing"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, dt.date):
            return formats.date_format(value, "j M Y")
        if isinstance(value, list):
            return ", ".join(map(str, value))
        label = dict(self._model_fields[name].flatchoices).get(value, value)
        return f"“{Truncator(str(label)).chars(80)}”"

    # Checks of the model itself leave alone what nobody touched, except where a touched field shares a constraint.

    def _get_validation_exclusions(self) -> set[str]:
        excluded = super()._get_validation_exclusions()  # type: ignore[misc]
        if self._guards():
            excluded |= {name for name in self.guarded if name not in self.touched}
        return excluded

    def validate_unique(self) -> None:
        try:
            self.instance.validate_unique(exclude=super()._get_validation_exclusions())  # type: ignore[misc]
        except ValidationError as error:
            self._update_errors(error)  # type: ignore[attr-defined]

    def validate_constraints(self) -> None:
        try:
            self.instance.validate_constraints(exclude=super()._get_validation_exclusions())  # type: ignore[misc]
        except ValidationError as error:
            self._update_errors(error)  # type: ignore[attr-defined]

    def columns(self) -> list[str]:
        """The model's fields that a save of this form has to write."""
        return [name for name in self.touched if name in self._model_fields]

    def save(self, commit: bool = True) -> Any:
        if not commit or not self._is_change or self.errors:
            return super().save(commit)
        if self.columns():
            self.instance.save(update_fields=self.columns())
        self._save_m2m()  # type: ignore[attr-defined]
        return self.instance


class RuledForm(RenderedValues):
    """Adds the staff rules: a broken one is an error on its field, a mere doubt a warning for after the save."""

    # Fields whose choices grow outside: what a row holds is always offered and never refused.
    open_choices: ClassVar[tuple[str, ...]] = ()
    # Text fields that offer suggestions while one types.
    suggested: ClassVar[tuple[str, ...]] = ()
    # Doubts that are errors for whoever lacks the permission; the admin removes those a user may override.
    forbidden: ClassVar[frozenset[str]] = frozenset()
    # For somebody who does not see every row: a rule that would name another one does not.
    tells_of_none: ClassVar[bool] = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.warnings: list[str] = []
        super().__init__(*args, **kwargs)
        self.instance.tells_of_none = self.tells_of_none
        model = self._meta.model._meta.model_name
        for name in self.open_choices:
            if name in self.fields:
                self._open(name, live_values(f"{model}.{name}"))
        for name in self.suggested:
            if name in self.fields:
                key = f"{model}.{name}"
                self.fields[name].widget = SuggestInput(key, suggestions(key))

    def _open(self, name: str, live: Iterable[str]) -> None:
        field = self.fields[name]
        if not isinstance(field, forms.ChoiceField):
            return
        choices: list[Any] = list(field.choices)  # type: ignore[arg-type]
        offered = {value for value, _label in choices}
        folded = {fold_name(str(label)) for _value, label in choices}
        extra = [value for value in live if value not in offered and fold_name(value) not in folded]
        present = self.initial.get(name)
        if present and present not in offered and present not in extra:
            extra.append(present)
        field.choices = [*choices, *((value, value) for value in extra)]

    def _get_validation_exclusions(self) -> set[str]:
        # The form checked these against the choices of the day, which the model does not know.
        return super()._get_validation_exclusions() | set(self.open_choices)

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        self.warnings = []
        changed = self.touched if self._is_change else None
        fields = {rule.code: rule.fields for rule in rules.rules_for(self.instance)}
        for violation in self._violations(changed):
            if any(field in self.errors for field in fields[violation.code]):
                continue  # it speaks of a value that is not the one typed
            touched = changed is None or any(field in changed for field in fields[violation.code])
            if violation.blocking or (touched and violation.code in self.forbidden):
                self.add_error(violation.field if violation.field in self.fields else None, violation.sentence)
            else:
                self.warnings.append(violation.sentence)

    def _violations(self, changed: list[str] | None) -> list[rules.Violation]:
        return rules.violations(self.instance, changed)


class SuggestInput(UnfoldAdminTextInputWidget):
    """A text input that offers values while one types and takes any other."""

    template_name = "trips/widgets/suggest.html"

    def __init__(self, key: str, values: list[str]) -> None:
        super().__init__({"list": f"suggest-{key.replace('.', '-')}", "autocomplete": "off"})
        self.values = values

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        # One list per input: a page may show the same field of several rows.
        context["widget"]["attrs"]["list"] = f"{self.attrs['list']}-{name}"
        context["widget"]["suggestions"] = self.values
        return context


class TagsField(forms.CharField):
    """Short labels, separated by commas; a label twice counts once."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        parts = (part.strip() for part in (super().to_python(value) or "").split(","))
        return list(dict.fromkeys(part for part in parts if part))


class TripForm(RuledForm):
    open_choices = ("stage", "travel_category")
    suggested = ("travel_business", "lodging")

    class Meta:
        model = Trip
        exclude: ClassVar[list[str]] = []
        help_texts: ClassVar[dict[str, str]] = {
            "arrival_date": "At the destination. Empty when it is the start.",
            "return_date": "Empty when it is the end.",
        }


class ContactForm(RuledForm):
    tags = TagsField(required=False, help_text="Separate tags with commas.")

    class Meta:
        model = Contact
        exclude: ClassVar[list[str]] = []

    def clean_phone(self) -> str:
        phone = self.cleaned_data["phone"]
        return rules.e164(phone) or phone

    def clean_country(self) -> str:
        return self.cleaned_data["country"].upper()


class PassengerForm(RuledForm):
    open_choices = ("stage",)
    suggested = ("birth_country", "licence")
    forbidden = frozenset({"trip_is_full"})

    class Meta:
        model = Passenger
        exclude: ClassVar[list[str]] = []
        help_texts: ClassVar[dict[str, str]] = {
            "contact": "Whom we write to; a family may share one.",
            "is_child": "The date of birth decides where there is one.",
            "guardian": "Needed by travellers under 18 on departure.",
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        trip = cleaned.get("trip")
        if self._is_change and "trip" in self.touched and "number" not in self.touched:
            cleaned["number"] = None  # it was a number of the other trip
        seating = not self._is_change or {"trip", "number", "attendance"} & {*self.touched}
        if trip is not None and seating and transaction.get_connection().in_atomic_block:
            hold(trip.pk)  # or two forms at once both count the last seat as free
        return cleaned


class VendorForm(RuledForm):
    class Meta:
        model = Vendor
        exclude: ClassVar[list[str]] = []

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        twin = Vendor.objects.filter(name_key=fold_name(name)[:255]).exclude(pk=self.instance.pk).first()
        if twin is not None:
            raise ValidationError(f"There is a vendor of this name already: {twin.name} (no. {twin.pk}).")
        return name


class LicenceForm(RuledForm):
    class Meta:
        model = Licence
        exclude: ClassVar[list[str]] = []


class PassportForm(RuledForm):
    suggested = ("country",)

    class Meta:
        model = Passport
        exclude: ClassVar[list[str]] = []
        widgets: ClassVar[dict[str, type[forms.Widget]]] = {"number": UnfoldAdminTextInputWidget}  # encrypted, one line


class HealthRecordForm(RuledForm):
    class Meta:
        model = HealthRecord
        exclude: ClassVar[list[str]] = []
        # Encrypted columns are texts without a limit; these two still hold one line.
        widgets: ClassVar[dict[str, type[forms.Widget]]] = {
            "physician_name": UnfoldAdminTextInputWidget,
            "physician_phone": UnfoldAdminTextInputWidget,
        }
        help_texts: ClassVar[dict[str, str]] = {
            "nothing_to_declare": "The traveller said so; without it an empty record means “not answered”."
        }


class EmergencyContactForm(RuledForm):
    suggested = ("state",)

    class Meta:
        model = EmergencyContact
        exclude: ClassVar[list[str]] = []


class AmountForm(RuledForm):
    """A form of one amount."""

    def _get_validation_exclusions(self) -> set[str]:
        # The rules say beside the field, and with the value, what the constraints would say above the form.
        return super()._get_validation_exclusions() | {"amount", "reference"}


class PaymentForm(AmountForm):
    class Meta:
        model = Payment
        exclude: ClassVar[list[str]] = []

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        passenger = cleaned.get("passenger")
        if passenger is not None and transaction.get_connection().in_atomic_block:
            hold_payer(passenger.pk)  # or two forms at once both give back the same money
        return cleaned

    def clean_reference(self) -> str:
        return self.cleaned_data["reference"].strip()


class CostForm(AmountForm):
    class Meta:
        model = Cost
        exclude: ClassVar[list[str]] = []


class DocumentForm(RuledForm):
    class Meta:
        model = Document
        exclude: ClassVar[list[str]] = []

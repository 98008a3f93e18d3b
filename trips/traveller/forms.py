"""The steps of a traveller's form, by the staff's rules and sentences, with a phone's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils import formats, timezone

from trips import rules
from trips.choices import suggestions
from trips.days import DayField
from trips.enums import REQUIRED_DOCUMENTS, DocumentKind, FormSigner, FormStep
from trips.forms import RuledForm
from trips.gaps import HEALTH_TEXTS
from trips.models import EmergencyContact, HealthRecord, Passenger, Passport, TravellerForm
from trips.services import traveller_answers as answers
from trips.services.traveller_answers import FIELDS, KEEP, LATER, NEW, Values, plain

# Of the traveller's record, and nothing that the traveller could mend.
_NOT_THEIRS = ("minor_without_guardian", "on_this_trip_already", "trip_is_full", "number_taken", "child_flag_disagrees")
FILL_IN = "Please fill this in."
TOO_LONG = "Keep this to %(limit_value)d characters; it has %(show_value)d."
# What a step is called for the one who fills it in, where that is not its label.
_TITLES = {FormStep.DETAILS: "Your details"}
# What is filled in at once by a phone that knows its owner.
_AUTOCOMPLETE = {
    "legal_first_name": "given-name",
    "legal_middle_name": "additional-name",
    "legal_last_name": "family-name",
    "preferred_name": "nickname",
    "date_of_birth": "bday",
    "sex": "sex",
}


class TravellerModelForm(RuledForm):
    """A part of a step. It reads and checks; nothing is saved by it."""

    rendered_values = None  # type: ignore[assignment]  # the answer is compared with the record when staff review it
    needed: ClassVar[tuple[str, ...]] = ()
    countries: ClassVar[str] = ""  # the field that offers countries

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, one in self.fields.items():
            one.required = name in self.needed
            one.error_messages["required"] = FILL_IN
            one.widget.attrs.setdefault("autocomplete", _AUTOCOMPLETE.get(name, "off"))
            if most := one.widget.attrs.get("maxlength"):
                # An encrypted column has no length of its own, and a browser's word for it is no limit.
                one.validators.append(MaxLengthValidator(int(most), TOO_LONG))
        if self.countries:
            self.fields[self.countries].widget.attrs["list"] = "countries"

    def _violations(self, changed: list[str] | None) -> list[rules.Violation]:
        return rules.violations(self.instance, changed, but=_NOT_THEIRS)

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() | {"passenger"}

    def values(self) -> Values:
        return {name: plain(self.cleaned_data[name]) for name in self.fields}


def _day_input() -> forms.DateInput:
    return forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})


class DetailsForm(TravellerModelForm):
    needed = ("legal_first_name", "legal_last_name", "date_of_birth", "sex")
    countries = "birth_country"

    class Meta:
        model = Passenger
        fields = FIELDS[FormStep.DETAILS]
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"date_of_birth": DayField}
        widgets: ClassVar[dict[str, forms.Widget]] = {"date_of_birth": _day_input()}
        labels: ClassVar[dict[str, str]] = {
            "legal_first_name": "First name, as in the passport",
            "legal_middle_name": "Middle names, as in the passport",
            "legal_last_name": "Last name, as in the passport",
            "preferred_name": "What shall we call you?",
            "birth_country": "Country of birth",
            "roommate_request": "Whom would you like to share a room with?",
        }
        help_texts: ClassVar[dict[str, str]] = {"legal_first_name": ""}


class PassportForm(TravellerModelForm):
    needed = ("number", "expires_on", "country")
    countries = "country"

    class Meta:
        model = Passport
        fields = FIELDS[FormStep.PASSPORT]
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"expires_on": DayField}
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "number": forms.TextInput(attrs={"autocapitalize": "characters", "spellcheck": "false", "maxlength": "40"}),
            "expires_on": _day_input(),
        }
        labels: ClassVar[dict[str, str]] = {"number": "Passport number", "country": "Country that issued it"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        until = self.instance.needed_until
        if until:
            self.fields["expires_on"].help_text = f"For this trip it must be valid until {_told(until)} or longer."

    def clean_number(self) -> str:
        return "".join(self.cleaned_data["number"].split()).upper()

    def clean_expires_on(self) -> Any:
        day = self.cleaned_data["expires_on"]
        if day and day < timezone.localdate():
            raise ValidationError(
                f"This passport expired on {_told(day)}. Give the new one, or choose to send it later."
            )
        return day


class HealthForm(TravellerModelForm):
    class Meta:
        model = HealthRecord
        # What matters most on the way comes first.
        fields = (
            "nothing_to_declare",
            "allergies",
            "medications",
            "medical_notes",
            "diet",
            "general_health",
            "physician_name",
            "physician_phone",
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {
            **{name: forms.Textarea(attrs={"rows": 2, "maxlength": "2000"}) for name in HEALTH_TEXTS},
            "physician_name": forms.TextInput(attrs={"maxlength": "200"}),
            "physician_phone": forms.TextInput(attrs={"type": "tel", "maxlength": "64"}),
        }
        labels: ClassVar[dict[str, str]] = {
            "nothing_to_declare": "I have nothing to say about health or diet",
            "general_health": "How is your health in general?",
            "medical_notes": "Illnesses or limits that we should know of",
            "medications": "Medicines that you take",
            "diet": "What do you not eat?",
            "allergies": "Allergies",
            "physician_name": "Your doctor’s name",
            "physician_phone": "Your doctor’s phone",
        }
        help_texts: ClassVar[dict[str, str]] = {"nothing_to_declare": ""}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        said = [name for name in HEALTH_TEXTS if cleaned.get(name) and not name.startswith("physician")]
        if cleaned.get("nothing_to_declare") and said:
            label = self.fields[said[0]].label
            self.add_error(
                "nothing_to_declare", f"You have written something at “{label}”. Untick this, or empty that."
            )
        elif not cleaned.get("nothing_to_declare") and not said:
            self.add_error("nothing_to_declare", "Tick this when there is nothing to say, or fill in what there is.")
        return cleaned


class EmergencyForm(TravellerModelForm):
    needed = ("first_name", "last_name", "relationship")

    class Meta:
        model = EmergencyContact
        fields = FIELDS[FormStep.EMERGENCY]
        widgets: ClassVar[dict[str, forms.Widget]] = {
            "phone": forms.TextInput(attrs={"type": "tel", "maxlength": "64"}),
            "mobile": forms.TextInput(attrs={"type": "tel", "maxlength": "64"}),
            "email": forms.EmailInput(),
        }
        labels: ClassVar[dict[str, str]] = {"relationship": "What they are to you"}
        help_texts: ClassVar[dict[str, str]] = {
            "phone": "With its country code, such as +1 202 555 0123. Give a phone, a mobile, or both."
        }


class HowForm(forms.Form):
    """Keep what is there, give new values, or send them later."""

    how = forms.ChoiceField(widget=forms.RadioSelect, label="Your answer")

    def __init__(self, *args: Any, choices: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["how"].choices = choices  # type: ignore[attr-defined]
        self.fields["how"].error_messages["required"] = "Choose one."


class UploadForm(forms.Form):
    kind = forms.ChoiceField(label="It is", choices=[(kind, DocumentKind(kind).label) for kind in REQUIRED_DOCUMENTS])
    # An empty file is refused by the service, which names it.
    file = forms.FileField(
        label="File or photo", allow_empty_file=True, error_messages={"required": "Choose a file first."}
    )


class SignForm(forms.Form):
    intent = forms.BooleanField(required=False, label="I mean my name below as my signature")
    name = forms.CharField(max_length=200, label="Your full name")
    relationship = forms.CharField(max_length=100, label="What you are to the traveller", help_text="Such as mother.")
    shown = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, signer: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "relationship"):
            self.fields[name].error_messages["required"] = FILL_IN
        self.fields["name"].widget.attrs["autocomplete"] = "name"
        self.fields["relationship"].widget.attrs["autocomplete"] = "off"
        if signer == FormSigner.TRAVELLER:
            del self.fields["relationship"]


@dataclass
class Page:
    """A step as it goes out or came back: how it is answered, and its parts with their headings."""

    how: HowForm | None
    parts: list[tuple[str, TravellerModelForm]] = field(default_factory=list)

    def is_valid(self) -> bool:
        if self.how is not None and not self.how.is_valid():
            return False
        # Each is asked, so that each says what is wrong with it.
        wrong = [title for title, part in self.parts if self.chosen == NEW and not part.is_valid()]
        return not wrong

    @property
    def chosen(self) -> str:
        return str(self.how.cleaned_data["how"]) if self.how is not None else NEW

    def values(self) -> Values:
        if self.chosen != NEW:
            return {}
        if len(self.parts) == 1:
            return self.parts[0][1].values()
        typed_in = [part.values() for _title, part in self.parts if not part.empty_permitted or part.has_changed()]
        return {str(place): values for place, values in enumerate(typed_in, start=1)}

    @property
    def errors(self) -> int:
        asked: list[Any] = [form for form in (self.how, *(part for _title, part in self.parts)) if form is not None]
        return sum(len(form.errors) for form in asked if form.is_bound)


def page_of(form: TravellerForm, step: str, data: Any = None) -> Page:
    """The step `step`, filled in with what is known as far as a link may show it: never a passport or health."""
    passenger = form.passenger
    if step == FormStep.DETAILS:
        shown = answers.as_answered(form, passenger)
        return Page(None, [("", DetailsForm(data, instance=shown))])
    how = _how(form, step, data)
    # Parts that do not count are not checked: what came back for them is left alone.
    posted = data if how is None or (data is not None and data.get("how") == NEW) else None
    traveller = answers.as_answered(form, passenger)
    if step == FormStep.PASSPORT:
        return Page(how, [("", PassportForm(posted, instance=Passport(passenger=traveller)))])
    if step == FormStep.HEALTH:
        return Page(how, [("", HealthForm(posted, instance=HealthRecord(passenger=traveller)))])
    first = EmergencyForm(posted, prefix="one", instance=EmergencyContact(passenger=traveller))
    second = EmergencyForm(
        posted,
        prefix="two",
        instance=EmergencyContact(passenger=traveller, position=2),
        empty_permitted=True,
        use_required_attribute=False,
    )
    return Page(how, [("Call first", first), ("Call second, if you like", second)])


def _how(form: TravellerForm, step: str, data: Any) -> HowForm | None:
    """The choice, where there is one; what was answered before is chosen."""
    answer = form.answered.get(step, {})
    record = answers.on_file(form.passenger, step)
    choices = []
    if answer.get("how") == NEW:
        choices.append((KEEP, f"Leave it as I typed it: {answers.hint_of(step, answer['values'])}"))
    elif (hint := answers.hint_of(step, record)) and answers.may_keep(form.passenger, step, record):
        choices.append((KEEP, f"On file and still right: {hint}"))
    if step == FormStep.PASSPORT:
        choices.append((LATER, "I have none yet, or it is being renewed: I will send it later"))
    if not choices:
        return None
    new = (NEW, "I type it now" if choices[0][0] == LATER else "I type it anew")
    first = LATER if answer.get("how") == LATER else (KEEP if choices[0][0] == KEEP else NEW)
    ordered = [*(one for one in choices if one[0] == KEEP), new, *(one for one in choices if one[0] == LATER)]
    return HowForm(data, choices=ordered, initial={"how": first}, use_required_attribute=False)


def countries_for(parts: Sequence[tuple[str, TravellerModelForm]]) -> list[str]:
    """What the field for a country offers while one types."""
    key = {PassportForm: "passport.country", DetailsForm: "passenger.birth_country"}
    return next((suggestions(key[type(part)]) for _title, part in parts if type(part) in key), [])


def summary(form: TravellerForm) -> list[tuple[str, str, str]]:
    """Each step with its title and what was answered, as far as a link may show it."""
    told = {KEEP: "As on file", LATER: "Sent later"}
    lines = []
    for step in form.asked:
        answer = form.answered.get(step, {})
        values = answer.get("values", {})
        if step == FormStep.DETAILS:
            person = answers.as_answered(form, form.passenger)
            born = f", born {_told(person.date_of_birth)}" if person.date_of_birth else ""
            text = f"{person.legal_name}{born}"
        elif step == FormStep.DOCUMENTS:
            text = ", ".join(one["name"] for one in values.values()) or "None"
        else:
            text = told.get(answer.get("how", "")) or answers.hint_of(step, values)
        lines.append((step, title_of(step), text))
    return lines


def title_of(step: str) -> str:
    return _TITLES.get(FormStep(step), str(FormStep(step).label))


def _told(day: Any) -> str:
    return formats.date_format(day, "j F Y")

"""What kind of value a row carries: in words, and as the data types a custom field may have over there."""

from __future__ import annotations

from ghl_sync.mapping import converters as c
from ghl_sync.mapping.fields import FieldMap

TEXTS = ("TEXT", "LARGE_TEXT", "PHONE", "EMAIL")

# The first data type is the one to create a field with. A row's converter is looked up by its nearest class.
_KINDS: dict[type[c.Converter], tuple[str, tuple[str, ...]]] = {
    c.Text: ("text", TEXTS),
    c.LongText: ("long text", ("LARGE_TEXT", "TEXT")),
    c.Email: ("e-mail address", TEXTS),
    c.Phone: ("phone number", TEXTS),
    c.Date: ("date", ("DATE",)),
    c.Integer: ("whole number", ("NUMERICAL",)),
    c.Money: ("amount of money", ("MONETORY", "NUMERICAL")),
    c.Option: ("option", ("SINGLE_OPTIONS", "RADIO")),
    c.Choice: ("option with a code here", ("SINGLE_OPTIONS", "RADIO")),
    c.Status: ("status", ()),
    c.YesNo: ("True or False", ("CHECKBOX",)),
    c.Flag: ("yes or no", ()),
    c.Tags: ("set of words", ()),
    c.CountryCode: ("country", ()),
    c.Files: ("files", ("FILE_UPLOAD", "SIGNATURE")),
}


def _kind(row: FieldMap) -> tuple[str, tuple[str, ...]]:
    return next(_KINDS[cls] for cls in type(row.converter).__mro__ if cls in _KINDS)


def words(row: FieldMap) -> str:
    """The kind of value for people, with the length it may have."""
    if row.remote == "pipelineStageId":
        return "stage of the pipeline"
    text = _kind(row)[0]
    if row.reference:
        return f"{text} that names another record" if row.custom else "id of a contact"
    return f"{text}, up to {row.converter.length} characters" if type(row.converter) is c.Text else text


def data_types(row: FieldMap) -> tuple[str, ...]:
    """Data types that a custom field of this row may have; the first one is the best."""
    return (row.provision,) if row.provision else _kind(row)[1]

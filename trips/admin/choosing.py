"""A search box for a row, as on the pages of forms, for pages of our own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.db import models


def chooser(model: type[models.Model], name: str, site: Any, field: Any) -> forms.Widget:
    """The autocomplete of the field `name` of `model`, offering what `field` may hold."""
    widget: Any = AutocompleteSelect(model._meta.get_field(name), site)
    widget.choices = field.choices
    widget.is_required = field.required
    return widget

"""What a browser would send back from a page the admin rendered."""

from __future__ import annotations

from typing import Any


def posted(page: Any, **typed: Any) -> dict[str, Any]:
    """Every input of the page's form and inlines as it stands, with `typed` over it."""
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    data: dict[str, Any] = {}
    for form in forms:
        for bound in form:
            value = bound.field.prepare_value(bound.value())
            if value is True:
                data[bound.html_name] = "on"
            elif value is not None and value is not False:
                data[bound.html_name] = str(value)
    return {name: value for name, value in {**data, **typed}.items() if value is not None}

"""Every value of every table, opened: what must not be anywhere is looked for everywhere."""

from __future__ import annotations

from typing import Any

from django.apps import apps


def holders(*words: str) -> list[str]:
    """The columns that hold one of these words in any case, "trips.contact.notes: word"."""
    found = set()
    for model in apps.get_models(include_auto_created=True):
        rows: Any = model._base_manager.order_by().values()
        for row in rows:
            for name, value in row.items():
                text = str(value).casefold()
                found |= {f"{model._meta.label_lower}.{name}: {word}" for word in words if word.casefold() in text}
    return sorted(found)

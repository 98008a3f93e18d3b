"""The sync's face: pages of its own, and its signs on the pages of the business. Importing this registers them."""

import trips.admin  # noqa: F401 - its pages must be registered before they are extended
from ghl_sync.admin import (
    choices,
    conflicts,
    definitions,
    drifts,
    events,
    extensions,
    linked_files,
    links,
    records,
    rules,
    runs,
)
from trips.choices import register_source

register_source(choices.live_options)

__all__ = [
    "choices",
    "conflicts",
    "definitions",
    "drifts",
    "events",
    "extensions",
    "linked_files",
    "links",
    "records",
    "rules",
    "runs",
]

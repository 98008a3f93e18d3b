"""The staff's pages, one subject a module; importing this package registers them."""

from trips.admin import (
    batches,
    document,
    erasures,
    licences,
    paper_runs,
    papers,
    payment,
    people,
    read_log,
    reminders,
    reports,
    traveller_forms,
    trip,
    vendor,
)

__all__ = [
    "batches",
    "document",
    "erasures",
    "licences",
    "paper_runs",
    "papers",
    "payment",
    "people",
    "read_log",
    "reminders",
    "reports",
    "traveller_forms",
    "trip",
    "vendor",
]

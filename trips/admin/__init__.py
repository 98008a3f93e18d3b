"""The staff's pages, one subject a module; importing this package registers them."""

from trips.admin import document, payment, people, trip, vendor

__all__ = ["document", "payment", "people", "trip", "vendor"]

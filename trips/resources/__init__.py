"""What a file may hold of each model, on its way in and out (django-import-export)."""

from typing import Any

from trips.models import Contact, Document, Passenger, Payment, Trip, Vendor
from trips.resources.base import Change, Column, Row, RowResource
from trips.resources.people import ContactResource, PassengerResource
from trips.resources.runs import fitting, guessed, run
from trips.resources.trade import DocumentResource, PaymentResource, TripResource, VendorResource

RESOURCES: dict[type[Any], type[RowResource]] = {
    Contact: ContactResource,
    Document: DocumentResource,
    Passenger: PassengerResource,
    Payment: PaymentResource,
    Trip: TripResource,
    Vendor: VendorResource,
}

__all__ = ["RESOURCES", "Change", "Column", "Row", "RowResource", "fitting", "guessed", "run"]

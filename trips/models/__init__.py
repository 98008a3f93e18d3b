"""The tables of the business, one subject a module."""

from trips.models.batch import Batch, BatchRow
from trips.models.cost import Cost
from trips.models.document import DiscardedFile, Document
from trips.models.erasure import Erasure
from trips.models.imports import ColumnMapping, ImportDraft
from trips.models.key import EncryptionKey
from trips.models.leader import TripLeader
from trips.models.licence import Licence
from trips.models.note import Note
from trips.models.paper import PaperTemplate
from trips.models.paper_run import PaperRun, PaperRunRow
from trips.models.payment import Payment
from trips.models.people import Contact, ContactsApart, EmergencyContact, HealthRecord, Passenger, Passport
from trips.models.programme import Flight, ItineraryItem, Transfer
from trips.models.read_entry import ReadEntry, ReadPerson
from trips.models.reminder import Reminder
from trips.models.role import InstalledRole
from trips.models.room import Room, RoomingLock, RoomPlace
from trips.models.saved_filter import SavedFilter
from trips.models.sent_report import SentReport
from trips.models.traveller_form import TravellerForm
from trips.models.trip import Trip
from trips.models.vendor import Vendor

__all__ = [
    "Batch",
    "BatchRow",
    "ColumnMapping",
    "Contact",
    "ContactsApart",
    "Cost",
    "DiscardedFile",
    "Document",
    "EmergencyContact",
    "EncryptionKey",
    "Erasure",
    "Flight",
    "HealthRecord",
    "ImportDraft",
    "InstalledRole",
    "ItineraryItem",
    "Licence",
    "Note",
    "PaperRun",
    "PaperRunRow",
    "PaperTemplate",
    "Passenger",
    "Passport",
    "Payment",
    "ReadEntry",
    "ReadPerson",
    "Reminder",
    "Room",
    "RoomPlace",
    "RoomingLock",
    "SavedFilter",
    "SentReport",
    "Transfer",
    "TravellerForm",
    "Trip",
    "TripLeader",
    "Vendor",
]

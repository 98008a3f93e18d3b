"""The sync's own tables. Anyone may read them; `ghl_sync.engine.state` writes them."""

from ghl_sync.models.alarm import Alarm
from ghl_sync.models.arrival import Arrival
from ghl_sync.models.change import Cause, Change, Lane
from ghl_sync.models.conflict import Conflict, Issue
from ghl_sync.models.drift import Drift
from ghl_sync.models.event import WebhookEvent, WebhookRefusal
from ghl_sync.models.file_copy import FileCopy
from ghl_sync.models.guard import Approval, Blank, DeletedRecord
from ghl_sync.models.link import Kind, Link, State, kind_of
from ghl_sync.models.remote import Location, Pipeline, RateSlot, RemoteField, Stage, WantedOption
from ghl_sync.models.rule import Direction, FieldRule
from ghl_sync.models.run import Run, SeenPage
from ghl_sync.models.write import Write

__all__ = [
    "Alarm",
    "Approval",
    "Arrival",
    "Blank",
    "Cause",
    "Change",
    "Conflict",
    "DeletedRecord",
    "Direction",
    "Drift",
    "FieldRule",
    "FileCopy",
    "Issue",
    "Kind",
    "Lane",
    "Link",
    "Location",
    "Pipeline",
    "RateSlot",
    "RemoteField",
    "Run",
    "SeenPage",
    "Stage",
    "State",
    "WantedOption",
    "WebhookEvent",
    "WebhookRefusal",
    "Write",
    "kind_of",
]

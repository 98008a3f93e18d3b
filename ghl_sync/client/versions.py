"""What differs between the versions of the API, in one place (API notes §2).

Everything above speaks our neutral form; a new version is a new row here and a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Version:
    """`header` goes into the Version header, `value_key` names a custom field's value when written."""

    header: str
    value_key: str

    def custom_fields(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Field id → wire value as the list of elements the API takes."""
        return [{"id": field_id, self.value_key: value} for field_id, value in values.items()]

    def opportunity(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Our neutral body in the API's names."""
        names = {
            "name": "name",
            "pipeline_id": "pipelineId",
            "stage_id": "pipelineStageId",
            "status": "status",
            "contact_id": "contactId",
        }
        wire = {names[key]: value for key, value in body.items() if key != "custom_fields"}
        if body.get("custom_fields"):
            wire["customFields"] = self.custom_fields(body["custom_fields"])
        return wire

    def contact(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Contacts use the API's names already; their custom fields keep one spelling in all versions."""
        wire = {key: value for key, value in body.items() if key != "custom_fields"}
        if body.get("custom_fields"):
            wire["customFields"] = [
                {"id": field_id, "field_value": value} for field_id, value in body["custom_fields"].items()
            ]
        return wire


VERSIONS = {
    "2021-07-28": Version(header="2021-07-28", value_key="field_value"),
    "v3": Version(header="v3", value_key="fieldValue"),
}
DEFAULT_VERSION = "2021-07-28"

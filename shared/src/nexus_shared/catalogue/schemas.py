"""The JSON Schema (2020-12) of a whole CloudEvent of one type, for publishers in any language."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from nexus_shared.catalogue.event_type import EventType
from nexus_shared.envelope import Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SET_BY_US = ("sequence",)


class _Terse(GenerateJsonSchema):
    """Without titles and null defaults: they say nothing that the field's name does not."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made


def schema_of(event_type: EventType) -> dict[str, Any]:
    """What an event of this type's newest version must be. Each data field says its data class in `x-data-class`."""
    envelope = Event.model_json_schema(schema_generator=_Terse)
    data = event_type.data.model_json_schema(schema_generator=_Terse)
    definitions = data.pop("$defs", {})
    return {
        "$schema": DIALECT,
        "$id": f"urn:nexus:event:{event_type.name}:{event_type.version}",
        "title": event_type.name,
        "description": f"{event_type.meaning}. {event_type.meaning_pt}",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "tenantid", "data"],
        "properties": _properties(event_type, envelope["properties"]),
        "$defs": {event_type.data.__name__: _data_schema(event_type, data), **definitions},
    }


def _properties(event_type: EventType, envelope: dict[str, Any]) -> dict[str, Any]:
    properties = {name: schema for name, schema in envelope.items() if name not in _SET_BY_US}
    properties["type"] = {"const": event_type.name}
    if event_type.subjects:
        properties["subject"] = _subject_schema(event_type)
    properties["schemaversion"] = {"const": event_type.version}
    properties["data"] = {"$ref": f"#/$defs/{event_type.data.__name__}"}
    return properties


def _subject_schema(event_type: EventType) -> dict[str, Any]:
    beginnings = "|".join(template.partition("{")[0] for template in event_type.subjects)
    return {
        "description": "What the fact is about: " + " or ".join(event_type.subjects),
        "type": "string",
        "maxLength": 200,
        "pattern": f"^({beginnings})[^\\x00-\\x1f\\x7f]+$",
    }


def _data_schema(event_type: EventType, schema: dict[str, Any]) -> dict[str, Any]:
    schema.pop("title", None)
    # The docstring of a class that only inherits is its base's, and tells nothing about this type.
    schema["description"] = event_type.meaning
    if event_type.one_of:
        schema["anyOf"] = [{"required": [name]} for name in event_type.one_of]
    return schema

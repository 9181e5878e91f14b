"""Events about events."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field
from nexus_shared.catalogue.event_type import INGEST, Family
from nexus_shared.catalogue.values import Id, Line, Text

family = Family("event", "Eventos", subject="event/{event_id}", owners=(INGEST,))


@family.event(
    "event.quarantined",
    meaning="An event was recorded as unfit for its schema",
    meaning_pt="Um evento chegou com erro e ficou em quarentena.",
    used_by="ops",
)
class EventQuarantined(EventData):
    event_id: Id | None = open_field("The id of the event, if it had one")
    source: Line | None = open_field("The system that published it, if known")
    type: Line | None = open_field("The type of the event, if it had one")
    reason: Text = open_field("What was expected and what to do; never a personal value", required=True)
    pointer: Line | None = open_field("Where in the event, as a JSON pointer")

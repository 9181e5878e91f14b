"""The waiting list: patients who would rather come earlier."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, Part, open_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Clock, Day, Id, Line, ListOf, Weekday

family = Family("waitlist", "Lista de espera", subject="patient/{patient_id}")


class Window(Part):
    """When the patient could come."""

    weekday: Weekday | None = open_field("Day of the week: 1 (Monday) to 7 (Sunday)")
    from_date: Day | None = open_field("First day")
    until_date: Day | None = open_field("Last day")
    starts: Clock | None = open_field("From this time of day")
    ends: Clock | None = open_field("Until this time of day")


@family.event(
    "waitlist.joined",
    meaning="A patient wants an earlier slot",
    meaning_pt="Um paciente entrou na lista de espera por um horário mais cedo.",
    used_by="waitlist",
)
class WaitlistJoined(EventData):
    patient_id: Id = open_field("The patient's id in the publishing system", required=True)
    service_id: Id | None = open_field("The service wanted")
    professional_ids: ListOf[Id] | None = open_field("The professionals wanted; any if absent")
    windows: ListOf[Window] | None = open_field("When the patient could come; any time if absent")
    priority: Line | None = open_field("How urgent, as the clinic calls it", values=("low", "normal", "high"))

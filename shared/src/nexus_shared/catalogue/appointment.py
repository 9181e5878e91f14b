"""Appointments: from booking to attendance, and the slots they leave free."""

from __future__ import annotations

from typing import Literal

from nexus_shared.catalogue.base import (
    EventData,
    Part,
    financial_field,
    health_field,
    open_field,
    personal_field,
)
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Cents, Count, Flag, Id, Line, ListOf, Number, Text, When, Zone

family = Family("appointment", "Agendamentos", subject="appointment/{appointment_id}")


class Slot(Part):
    """A place in the schedule."""

    starts_at: When | None = open_field("Begin of the appointment")
    professional_id: Id | None = open_field("The professional")
    unit_id: Id | None = open_field("The clinic's unit")


class AppointmentData(EventData):
    """An appointment and whose it is, which every fact about it may repeat."""

    appointment_id: Id = open_field("The appointment's id in the publishing system", required=True)
    patient_id: Id | None = open_field("The patient")
    lead_id: Id | None = open_field("The lead, while not yet a patient")


@family.event(
    "appointment.scheduled",
    meaning="An appointment was booked",
    meaning_pt="Uma consulta foi agendada.",
    used_by="T2 A2",
    one_of=("patient_id", "lead_id"),
)
class AppointmentScheduled(AppointmentData):
    professional_id: Id | None = open_field("The professional")
    professional_name: Line | None = personal_field("The professional's name")
    service_id: Id | None = open_field("The service booked")
    service_name: Line | None = health_field("The service's name; it tells about a treatment")
    unit_id: Id | None = open_field("The clinic's unit")
    unit_address: Line | None = open_field("The unit's address")
    starts_at: When = open_field("Begin of the appointment", required=True)
    ends_at: When | None = open_field("End of the appointment")
    tz: Zone | None = open_field("Time zone of the unit")
    modality: Literal["in_person", "online"] | None = open_field("Where it takes place")
    first_visit: Flag | None = open_field("The person comes for the first time")
    price_cents: Cents | None = financial_field("Price, in cents")
    booked_by: Line | None = open_field("Who booked: a user's id, patient or automation")
    booked_channel: Line | None = open_field(
        "Where it was booked", values=("whatsapp", "site", "phone", "reception")
    )
    preparation_text: Text | None = health_field("What to do before coming")
    lead_time_hours: Number | None = open_field("Hours between booking and begin")


@family.event(
    "appointment.confirmed",
    meaning="The patient confirmed the appointment",
    meaning_pt="Um paciente confirmou a consulta.",
    used_by="T2 A2 goal",
)
class AppointmentConfirmed(AppointmentData):
    channel: Line | None = open_field("How it was confirmed", values=("whatsapp", "phone", "reception"))
    message_id: Id | None = open_field("The message with the confirmation")
    confirmed_at: When | None = open_field("When it was confirmed")
    hours_before: Number | None = open_field("Hours left until the begin")


@family.event(
    "appointment.rescheduled",
    meaning="The appointment moved to another time, professional or unit",
    meaning_pt="Uma consulta foi remarcada.",
    used_by="T2 A2",
)
class AppointmentRescheduled(AppointmentData):
    from_: Slot | None = open_field("Where it was", alias="from")
    to: Slot = open_field("Where it is now", required=True)
    requested_by: Line | None = open_field("Who asked for it", values=("patient", "clinic"))
    reason: Text | None = personal_field("Why, in words")
    times_rescheduled: Count | None = open_field("How often it has moved so far, this time included")


@family.event(
    "appointment.cancelled",
    meaning="The appointment was cancelled",
    meaning_pt="Uma consulta foi cancelada.",
    used_by="T2 A2",
)
class AppointmentCancelled(AppointmentData):
    starts_at: When | None = open_field("Begin it would have had")
    cancelled_by: Line | None = open_field("Who cancelled", values=("patient", "clinic"))
    reason_code: Line | None = open_field("Why, as a code")
    hours_before: Number | None = open_field("Hours left until the begin")
    refill_allowed: Flag | None = open_field("The slot may be offered to somebody else")


@family.event(
    "appointment.reminder_window_reached",
    meaning="It is time to remind of the appointment",
    meaning_pt="Chegou a hora de lembrar um paciente da consulta.",
    used_by="T2",
    is_derived=True,
)
class AppointmentReminderWindowReached(AppointmentData):
    offset: Line = open_field("How long before or after the begin, like -PT24H", required=True)
    occurrence: Line | None = open_field(
        "Which occurrence of the appointment: its begin when the timer was set"
    )
    useless_after: When | None = open_field("From then on a reminder makes no sense")


@family.event(
    "appointment.checked_in",
    meaning="The patient arrived",
    meaning_pt="Um paciente chegou à clínica.",
    used_by="T4",
)
class AppointmentCheckedIn(AppointmentData):
    arrived_at: When | None = open_field("When the patient arrived")
    delay_minutes: Number | None = open_field("Minutes after the begin; negative: early")


@family.event(
    "appointment.completed",
    meaning="The appointment took place",
    meaning_pt="Uma consulta foi realizada.",
    used_by="T4 T6",
)
class AppointmentCompleted(AppointmentData):
    professional_id: Id | None = open_field("The professional")
    service_id: Id | None = open_field("The service")
    finished_at: When | None = open_field("When it ended")
    next_recommended_at: When | None = open_field("When the patient should come back")
    procedure_codes: ListOf[Line] | None = health_field("What was done, as codes (TUSS or the clinic's)")
    invoice_id: Id | None = open_field("The charge for it")


@family.event(
    "appointment.missed",
    meaning="The patient did not come",
    meaning_pt="Um paciente faltou à consulta.",
    used_by="T2 A2 T6",
)
class AppointmentMissed(AppointmentData):
    starts_at: When | None = open_field("Begin of the missed appointment")
    no_show_count_12m: Count | None = open_field("Missed appointments in twelve months, this one included")
    reminders_sent: Count | None = open_field("Reminders sent for it")
    confirmed: Flag | None = open_field("The patient had confirmed")


@family.event(
    "appointment.slot_released",
    meaning="A place in the schedule became free",
    meaning_pt="Um horário ficou livre na agenda.",
    subjects=("appointment/{cause_appointment_id}",),
    used_by="waitlist",
)
class AppointmentSlotReleased(EventData):
    professional_id: Id | None = open_field("The professional")
    service_id: Id | None = open_field("The service that fits the slot")
    starts_at: When = open_field("Begin of the free slot", required=True)
    ends_at: When | None = open_field("End of the free slot")
    cause_appointment_id: Id | None = open_field("The appointment that moved or was cancelled")

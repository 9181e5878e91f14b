"""Patients: their record, their birthdays, their absence and their return."""

from __future__ import annotations

from typing import Any

from nexus_shared.catalogue.base import (
    EventData,
    Part,
    financial_field,
    health_field,
    open_field,
    personal_field,
)
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Cents, Count, Day, Email, Flag, Id, Line, ListOf, Phone, When

family = Family("patient", "Pacientes", subject="patient/{patient_id}")


class Guardian(Part):
    """Who answers for a minor."""

    contact_id: Id | None = open_field("The guardian's contact")


class PatientFields(EventData):
    """What a clinic's system knows about a patient."""

    patient_id: Id = open_field("The patient's id in the publishing system", required=True)
    name: Line | None = personal_field("Full name")
    preferred_name: Line | None = personal_field("How the patient wants to be called")
    birth_date: Day | None = personal_field("Date of birth")
    gender: Line | None = personal_field("Gender as recorded")
    phone: Phone | None = personal_field("Phone, E.164")
    email: Email | None = personal_field("E-mail address")
    preferred_channel: Line | None = open_field(
        "How to reach the patient", values=("whatsapp", "email", "phone")
    )
    referred_by: Line | None = personal_field("Who referred the patient, id or name")
    insurance_id: Id | None = personal_field("The health insurance on record")
    guardian: Guardian | None = open_field("Who answers for a minor")


@family.event(
    "patient.registered",
    meaning="A patient record was created",
    meaning_pt="Um paciente foi cadastrado.",
    used_by="T5 A2",
)
class PatientRegistered(PatientFields):
    pass


@family.event(
    "patient.updated",
    meaning="A patient record changed",
    meaning_pt="O cadastro de um paciente foi alterado.",
    used_by="T5",
)
class PatientUpdated(PatientFields):
    """Beside the list of what changed it may carry the patient's fields with their new values."""

    changed_fields: ListOf[Line] | None = open_field("Names of the fields that changed")
    previous: dict[str, Any] | None = personal_field("Old values of the changed fields, by name")


@family.event(
    "patient.birthday_reached",
    meaning="Today is the patient's birthday, in the clinic's time zone",
    meaning_pt="Hoje é aniversário de um paciente.",
    used_by="T5",
    is_derived=True,
)
class PatientBirthdayReached(EventData):
    patient_id: Id = open_field("The patient's id in the publishing system", required=True)
    age: Count | None = personal_field("Years reached today")
    preferred_name: Line | None = personal_field("How the patient wants to be called")
    last_visit_at: When | None = open_field("When the patient was last in the clinic")


@family.event(
    "patient.became_inactive",
    meaning="The patient has had no visit or appointment for some time",
    meaning_pt="Um paciente está há muito tempo sem consulta.",
    used_by="T6",
    is_derived=True,
)
class PatientBecameInactive(EventData):
    patient_id: Id = open_field("The patient's id in the publishing system", required=True)
    last_completed_at: When | None = open_field("The end of the last appointment attended")
    days_inactive: Count | None = open_field("Full days since then")
    last_service_id: Id | None = open_field("The service of the last appointment")
    open_treatment: Flag | None = health_field("A treatment was begun and not finished")
    lifetime_value_cents: Cents | None = financial_field("All the patient has paid so far, in cents")


@family.event(
    "patient.reactivated",
    meaning="An inactive patient booked again",
    meaning_pt="Um paciente que estava inativo voltou a agendar.",
    used_by="goal T6",
    is_derived=True,
)
class PatientReactivated(EventData):
    patient_id: Id = open_field("The patient's id in the publishing system", required=True)
    days_inactive: Count | None = open_field("Full days without a visit before")
    appointment_id: Id | None = open_field("The appointment now booked")
    attributed_trigger_id: Id | None = open_field("The trigger that brought the patient back")

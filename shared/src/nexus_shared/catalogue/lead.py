"""Leads: people who are interested and not yet patients."""

from __future__ import annotations

from typing import Any, Literal

from nexus_shared.catalogue.base import EventData, Part, open_field, personal_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Count, Email, Flag, Id, Line, ListOf, Number, Phone, Text, When

family = Family("lead", "Leads", subject="lead/{lead_id}")


class Utm(Part):
    """Where a click came from."""

    source: Line | None = open_field("utm_source of the link, like google")
    medium: Line | None = open_field("utm_medium of the link, like cpc")
    campaign: Line | None = open_field("utm_campaign of the link")
    ad_id: Id | None = open_field("The ad's id in the ad platform")


class LeadConsent(Part):
    """What the lead agreed to while leaving the data."""

    whatsapp: Flag | None = open_field("Agreed to be contacted over WhatsApp")
    marketing: Flag | None = open_field("Agreed to receive marketing")
    at: When | None = open_field("When the consent was given")
    proof: Text | dict[str, Any] | None = personal_field(
        "How it can be shown: a text, or text, at and ip as an object"
    )


class LeadFields(EventData):
    """What a CRM knows about a lead."""

    lead_id: Id = open_field("The lead's id in the publishing system", required=True)
    name: Line | None = personal_field("Full name as given")
    phone: Phone | None = personal_field("Phone, E.164")
    email: Email | None = personal_field("E-mail address")
    source: Line | None = open_field("How the lead arrived", values=("ads", "whatsapp", "site", "referral"))
    utm: Utm | None = open_field("Where the click came from")
    interest_service_id: Id | None = open_field(
        "The service of interest, from the clinic's catalogue of services"
    )
    interest_text: Text | None = personal_field("What the lead wants, in own words")
    owner_id: Id | None = open_field("The team member who takes care of the lead")
    status: Line | None = open_field("Place in the funnel, as the CRM calls it")
    consent: LeadConsent | None = open_field("What the lead agreed to")


@family.event(
    "lead.created",
    meaning="A new lead entered",
    meaning_pt="Uma pessoa interessada entrou em contato com a clínica pela primeira vez.",
    used_by="T1 A1 A4",
)
class LeadCreated(LeadFields):
    message_first: Text | None = personal_field("The first message the lead wrote")


@family.event(
    "lead.updated",
    meaning="Fields of a lead changed",
    meaning_pt="Os dados de um lead foram alterados.",
    used_by="A1",
)
class LeadUpdated(LeadFields):
    """Beside the list of what changed it may carry the lead's fields with their new values."""

    changed_fields: ListOf[Line] | None = open_field("Names of the fields that changed")
    previous: dict[str, Any] | None = personal_field("Old values of the changed fields, by name")


@family.event(
    "lead.status_changed",
    meaning="The lead moved in the funnel",
    meaning_pt="Um lead mudou de etapa no funil.",
    used_by="T1 A1",
)
class LeadStatusChanged(EventData):
    lead_id: Id = open_field("The lead's id in the publishing system", required=True)
    from_status: Line | None = open_field("The funnel's step before")
    to_status: Line | None = open_field("The funnel's step now")
    pipeline_id: Id | None = open_field("The funnel, where the CRM has several")
    reason: Text | None = personal_field("Why it moved, in words")
    owner_id: Id | None = open_field("The team member who takes care of the lead")
    days_in_previous: Number | None = open_field("Days spent in the step before")


@family.event(
    "lead.assigned",
    meaning="The lead's owner was set or changed",
    meaning_pt="Um lead passou a ter uma pessoa responsável na equipe.",
    used_by="T1",
)
class LeadAssigned(EventData):
    lead_id: Id = open_field("The lead's id in the publishing system", required=True)
    from_owner_id: Id | None = open_field("The owner before, if there was one")
    to_owner_id: Id | None = open_field("The owner now")
    method: Line | None = open_field("How the owner was chosen", values=("round_robin", "manual"))


@family.event(
    "lead.qualified",
    meaning="The qualification of a lead was concluded",
    meaning_pt="A qualificação de um lead foi concluída.",
    used_by="A4",
)
class LeadQualified(EventData):
    lead_id: Id = open_field("The lead's id in the publishing system", required=True)
    score: Number | None = open_field("The points reached; the scale is the clinic's")
    grade: Line | None = open_field("The grade reached, like A")
    by: Literal["ai", "user"] | None = open_field("Who qualified")
    criteria: dict[str, Any] | None = personal_field("What was found for each of the clinic's criteria")
    ai_interaction_id: Id | None = open_field("The AI call behind it")


@family.event(
    "lead.converted",
    meaning="The lead became a patient",
    meaning_pt="Um lead virou paciente.",
    used_by="goal",
)
class LeadConverted(EventData):
    lead_id: Id = open_field("The lead's id in the publishing system", required=True)
    patient_id: Id | None = open_field("The new patient's id")
    first_appointment_id: Id | None = open_field("The appointment that made the lead a patient")
    days_to_convert: Number | None = open_field("Days since the lead entered")


@family.event(
    "lead.lost",
    meaning="The lead was closed as lost",
    meaning_pt="Um lead foi encerrado como perdido.",
    used_by="T6",
)
class LeadLost(EventData):
    lead_id: Id = open_field("The lead's id in the publishing system", required=True)
    reason_code: Line | None = open_field(
        "Why, as a code", values=("price", "distance", "no_answer", "competitor")
    )
    reason_text: Text | None = personal_field("Why, in words")
    competitor: Line | None = personal_field("Where the lead went instead")


@family.event(
    "lead.went_idle",
    meaning="Nothing happened with the lead for some days",
    meaning_pt="Um lead está há dias sem nenhum contato.",
    used_by="T1 T6",
    is_derived=True,
)
class LeadWentIdle(EventData):
    lead_id: Id = open_field("The lead's id in the publishing system", required=True)
    last_activity_at: When | None = open_field("When something last happened")
    idle_days: Count | None = open_field("Full days since then")
    last_channel: Line | None = open_field(
        "The channel of the last activity", values=("whatsapp", "phone", "email")
    )

"""Referrals: patients who bring others."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Id, Line

family = Family("referral", "Indicações", subject="patient/{patient_id}")


@family.event(
    "referral.made",
    meaning="A patient referred somebody",
    meaning_pt="Um paciente indicou outra pessoa.",
    used_by="T1 T6",
)
class ReferralMade(EventData):
    patient_id: Id = open_field("The patient who referred", required=True)
    referred_lead_id: Id | None = open_field("The lead who was referred")
    campaign: Line | None = open_field("The referral campaign")

"""Quotes: treatment plans with a price."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, Part, financial_field, health_field, open_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Cents, Count, Day, Flag, Id, Line, ListOf, Text, When

family = Family("quote", "Orçamentos", subject="quote/{quote_id}")


class QuoteItem(Part):
    """One line of a treatment plan."""

    service_id: Id | None = open_field("The service")
    description: Text | None = health_field("What is to be done")
    quantity: Count | None = open_field("How often")
    price_cents: Cents | None = financial_field("Price of the line, in cents")


class QuoteData(EventData):
    """A quote and whose it is."""

    quote_id: Id = open_field("The quote's id in the publishing system", required=True)
    patient_id: Id | None = open_field("The patient")
    lead_id: Id | None = open_field("The lead, while not yet a patient")


@family.event(
    "quote.presented",
    meaning="A treatment plan with its price was presented",
    meaning_pt="Um orçamento foi apresentado.",
    used_by="A1 T6",
)
class QuotePresented(QuoteData):
    items: ListOf[QuoteItem] | None = health_field("The plan, line by line")
    total_cents: Cents | None = financial_field("The plan's price, in cents")
    valid_until: Day | None = open_field("Last day the price holds")
    installments_max: Count | None = financial_field("Into how many installments it may be split")


@family.event(
    "quote.accepted",
    meaning="The quote was accepted",
    meaning_pt="Um orçamento foi aceito.",
    used_by="goal",
)
class QuoteAccepted(QuoteData):
    total_cents: Cents | None = financial_field("The price accepted, in cents")
    installments: Count | None = financial_field("Installments agreed on")
    signed_at: When | None = open_field("When it was signed")


@family.event(
    "quote.declined",
    meaning="The quote was refused or expired",
    meaning_pt="Um orçamento foi recusado ou venceu.",
    used_by="T6",
)
class QuoteDeclined(QuoteData):
    reason_code: Line | None = open_field(
        "Why, as a code", values=("price", "time", "competitor", "no_answer")
    )
    expired: Flag | None = open_field("Nobody refused; its time ran out")

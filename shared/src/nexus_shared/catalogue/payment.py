"""Payments: due, late, made, refused, promised and given back. All belong to an invoice."""

from __future__ import annotations

from typing import Literal

from nexus_shared.catalogue.base import EventData, financial_field, open_field, personal_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.invoice import METHODS
from nexus_shared.catalogue.values import Cents, Count, Day, Flag, Id, Line, Text, Url, When

family = Family("payment", "Pagamentos", subject="invoice/{invoice_id}")


class InvoiceData(EventData):
    """A charge and whose it is."""

    invoice_id: Id = open_field("The charge's id in the publishing system", required=True)
    patient_id: Id | None = open_field("The patient")


@family.event(
    "payment.due_date_approached",
    meaning="A charge falls due in some days",
    meaning_pt="Uma cobrança está perto do vencimento.",
    used_by="T3",
    is_derived=True,
)
class PaymentDueDateApproached(InvoiceData):
    days_to_due: Count | None = financial_field("Days left")
    amount_cents: Cents | None = financial_field("The amount, in cents")
    payment_url: Url | None = personal_field("The page where it can be paid")


@family.event(
    "payment.overdue",
    meaning="A charge was not paid by its due date",
    meaning_pt="Uma cobrança venceu e não foi paga.",
    used_by="T3",
)
class PaymentOverdue(InvoiceData):
    amount_cents: Cents | None = financial_field("The amount charged, in cents")
    due_date: Day | None = financial_field("The day it fell due")
    days_overdue: Count | None = financial_field("Days since then")
    bucket: Literal["1-7", "8-15", "16-30", "31+"] | None = financial_field("Days late, in groups")
    fine_cents: Cents | None = financial_field("Fine (multa), in cents")
    interest_cents: Cents | None = financial_field("Interest (juros), in cents")
    updated_amount_cents: Cents | None = financial_field("What is owed today, in cents")
    payment_url: Url | None = personal_field("The page where it can be paid")
    attempts: Count | None = financial_field("How often the clinic has asked so far")
    promise_date: Day | None = financial_field("The day the patient promised to pay")
    in_dispute: Flag | None = financial_field("The patient disputes the charge")
    debtor_contact_id: Id | None = open_field("Who pays; may be the guardian")


@family.event(
    "payment.received",
    meaning="A payment arrived",
    meaning_pt="Um pagamento foi recebido.",
    used_by="T3 goal",
)
class PaymentReceived(InvoiceData):
    payment_id: Id | None = open_field("The payment's id in the publishing system")
    amount_cents: Cents | None = financial_field("The amount paid, in cents")
    paid_at: When | None = financial_field("When it was paid")
    method: Line | None = financial_field("How it was paid", values=METHODS)
    fully_settled: Flag | None = financial_field("Nothing of the charge is left to pay")


@family.event(
    "payment.failed",
    meaning="A card or Pix payment was refused",
    meaning_pt="Um pagamento foi recusado.",
    used_by="T3",
)
class PaymentFailed(InvoiceData):
    method: Line | None = financial_field("How it was to be paid", values=METHODS)
    failure_code: Line | None = financial_field("Why, as the payment provider's code")
    retryable: Flag | None = financial_field("It makes sense to try again")


@family.event(
    "payment.promised",
    meaning="The patient promised to pay on a date",
    meaning_pt="Um paciente prometeu pagar em uma data.",
    used_by="T3",
)
class PaymentPromised(InvoiceData):
    promise_date: Day = financial_field("The day promised", required=True)
    amount_cents: Cents | None = financial_field("The amount promised, in cents")
    message_id: Id | None = open_field("The message with the promise")


@family.event(
    "payment.refunded",
    meaning="A payment was given back",
    meaning_pt="Um pagamento foi devolvido.",
    used_by="A3",
)
class PaymentRefunded(EventData):
    payment_id: Id = open_field("The payment's id in the publishing system", required=True)
    invoice_id: Id | None = open_field("The charge it had paid; the subject names it too")
    patient_id: Id | None = open_field("The patient")
    amount_cents: Cents | None = financial_field("The amount given back, in cents")
    reason: Text | None = personal_field("Why, in words")

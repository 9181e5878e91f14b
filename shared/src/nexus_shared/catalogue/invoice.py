"""Invoices: what a patient owes."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, financial_field, open_field, personal_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Cents, Count, Day, Id, Line, Text, Url

family = Family("invoice", "Cobranças", subject="invoice/{invoice_id}")

METHODS = ("pix", "boleto", "card", "cash")


@family.event(
    "invoice.issued",
    meaning="A charge was created",
    meaning_pt="Uma cobrança foi emitida.",
    used_by="T3",
)
class InvoiceIssued(EventData):
    invoice_id: Id = open_field("The charge's id in the publishing system", required=True)
    patient_id: Id | None = open_field("The patient")
    amount_cents: Cents = financial_field("The amount, in cents", required=True)
    due_date: Day | None = financial_field("The day it falls due")
    method: Line | None = financial_field("How it is to be paid", values=METHODS)
    pix_copy_paste: Text | None = personal_field("The Pix code to copy")
    boleto_line: Line | None = personal_field("The boleto's line of digits")
    payment_url: Url | None = personal_field("The page where it can be paid")
    installment_no: Count | None = financial_field("Which installment, from 1")
    installments_total: Count | None = financial_field("Of how many")

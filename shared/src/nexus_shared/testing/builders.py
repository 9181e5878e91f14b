"""Builders of events: complete and realistic, the same for the same arguments.

    a_lead_created()                                        lead/lead-1 of clinica-sul
    a_lead_created(number=7, tenantid="clinica-norte")      another person, another clinic
    a_lead_created(data={"status": "qualificado"})          changed fields of the data, the rest as it was
    a_lead_created(data={"phone": None})                    a field left out

`time` is the moment this module was imported, because events of long ago are refused; everything else is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nexus_shared.envelope import Event
from nexus_shared.ids import derive
from nexus_shared.testing.people import PROFESSIONALS, SERVICES, UNITS, Person

TENANT = "clinica-sul"
SOURCE = "crm"
NOW = datetime.now(UTC).replace(microsecond=0)
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
MONDAY_MORNING = datetime(2027, 3, 1, 8, tzinfo=SAO_PAULO)
CHANNELS = ("whatsapp", "site", "phone", "reception")
SOURCES = ("ads", "whatsapp", "site", "referral")
BUCKETS = ((7, "1-7"), (15, "8-15"), (30, "16-30"))


def a_lead_created(*, number: int = 1, data: Mapping[str, Any] | None = None, **changes: Any) -> Event:
    """Person `number` left name, phone and a wish; `changes` are attributes of the envelope."""
    person = Person(number)
    came_from = SOURCES[number % len(SOURCES)]
    fields = {
        "lead_id": f"lead-{number}",
        "name": person.name,
        "phone": person.phone,
        "email": person.email,
        "source": came_from,
        "utm": {"source": "google", "medium": "cpc", "campaign": "verao-2027", "ad_id": f"ad-{number % 40}"},
        "interest_service_id": person.wanted.id,
        "interest_text": person.wanted.wish,
        "message_first": f"Olá! Meu nome é {person.name}. {person.wanted.wish}. Qual é o próximo horário?",
        "owner_id": f"atendente-{number % 5 + 1}",
        "status": "novo",
        "consent": {
            "whatsapp": True,
            "marketing": number % 3 == 0,
            "at": NOW.astimezone(SAO_PAULO).isoformat(),
            "proof": "Aceitou no formulário do site: “Concordo em receber contato pelo WhatsApp”",
        },
    }
    return _event("lead.created", f"lead/lead-{number}", number, fields, data, changes)


def a_lead_status_changed(*, number: int = 1, data: Mapping[str, Any] | None = None, **changes: Any) -> Event:
    """The lead of person `number` moved on in the funnel."""
    fields = {
        "lead_id": f"lead-{number}",
        "from_status": "novo",
        "to_status": "qualificado",
        "pipeline_id": "funil-comercial",
        "reason": "Respondeu no WhatsApp e pediu horário à tarde",
        "owner_id": f"atendente-{number % 5 + 1}",
        "days_in_previous": number % 9 + 0.5,
    }
    return _event("lead.status_changed", f"lead/lead-{number}", number, fields, data, changes)


def an_appointment_scheduled(
    *, number: int = 1, data: Mapping[str, Any] | None = None, **changes: Any
) -> Event:
    """Person `number` booked the service wanted, on a working day of March 2027."""
    service = Person(number).wanted
    starts_at = _slot(number)
    fields = {
        "appointment_id": f"consulta-{number}",
        "patient_id": f"paciente-{number}",
        **_professional(number),
        "service_id": service.id,
        "service_name": service.name,
        **_unit(number),
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + timedelta(minutes=service.minutes)).isoformat(),
        "tz": "America/Sao_Paulo",
        "modality": "in_person",
        "first_visit": number % 2 == 1,
        "price_cents": service.price_cents,
        "booked_by": f"atendente-{number % 5 + 1}",
        "booked_channel": CHANNELS[number % len(CHANNELS)],
        "preparation_text": service.preparation,
        "lead_time_hours": 24 + number % 200,
    }
    return _event("appointment.scheduled", f"appointment/consulta-{number}", number, fields, data, changes)


def an_appointment_completed(
    *, number: int = 1, data: Mapping[str, Any] | None = None, **changes: Any
) -> Event:
    """Person `number` came and was attended."""
    service = Person(number).wanted
    finished_at = _slot(number) + timedelta(minutes=service.minutes)
    fields = {
        "appointment_id": f"consulta-{number}",
        "patient_id": f"paciente-{number}",
        "professional_id": _professional(number)["professional_id"],
        "service_id": service.id,
        "finished_at": finished_at.isoformat(),
        "next_recommended_at": (finished_at + timedelta(days=180)).isoformat(),
        "procedure_codes": [f"8{100_0000 + number % 9000}"],
        "invoice_id": f"fatura-{number}",
    }
    return _event("appointment.completed", f"appointment/consulta-{number}", number, fields, data, changes)


def a_payment_overdue(*, number: int = 1, data: Mapping[str, Any] | None = None, **changes: Any) -> Event:
    """The charge of person `number` was not paid in time; fine 2 %, interest 1 % a month."""
    service = SERVICES[number % len(SERVICES)]
    days = number % 45 + 1
    fine = service.price_cents * 2 // 100
    interest = service.price_cents * days // 3000
    fields = {
        "invoice_id": f"fatura-{number}",
        "patient_id": f"paciente-{number}",
        "amount_cents": service.price_cents,
        "due_date": (MONDAY_MORNING - timedelta(days=days)).date().isoformat(),
        "days_overdue": days,
        "bucket": next((name for limit, name in BUCKETS if days <= limit), "31+"),
        "fine_cents": fine,
        "interest_cents": interest,
        "updated_amount_cents": service.price_cents + fine + interest,
        "payment_url": f"https://pagamentos.exemplo.com.br/clinica/fatura-{number}?via=2&origem=lembrete",
        "attempts": number % 4,
        "promise_date": (MONDAY_MORNING + timedelta(days=number % 6 + 1)).date().isoformat(),
        "in_dispute": False,
        "debtor_contact_id": f"responsavel-{number}",
    }
    return _event("payment.overdue", f"invoice/fatura-{number}", number, fields, data, changes)


def _event(
    type: str,
    subject: str,
    number: int,
    fields: Mapping[str, Any],
    data: Mapping[str, Any] | None,
    changes: Mapping[str, Any],
) -> Event:
    merged = {**fields, **(data or {})}
    tenant = changes.get("tenantid", TENANT)
    attributes = {
        "id": str(derive("builders", tenant, type, number)),
        "source": SOURCE,
        "type": type,
        "tenantid": tenant,
        "subject": subject,
        "time": NOW,
        "data": {name: value for name, value in merged.items() if value is not None},
    }
    return Event(**{**attributes, **changes})


def _slot(number: int) -> datetime:
    """One of 20 half hours from 8 to 18 on one of 20 working days."""
    day = number // 20 % 20
    return MONDAY_MORNING + timedelta(weeks=day // 5, days=day % 5, minutes=30 * (number % 20))


def _professional(number: int) -> dict[str, str]:
    professional_id, name = PROFESSIONALS[number % len(PROFESSIONALS)]
    return {"professional_id": professional_id, "professional_name": name}


def _unit(number: int) -> dict[str, str]:
    unit_id, address = UNITS[number % len(UNITS)]
    return {"unit_id": unit_id, "unit_address": address}

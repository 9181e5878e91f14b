import asyncio
import inspect
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from nexus_shared.catalogue import EventType, all_types
from nexus_shared.client import EventInvalid, NexusPublisher, SyncNexusPublisher, emitters
from nexus_shared.client.emitters import (
    emit_appointment_completed,
    emit_appointment_rescheduled,
    emit_appointment_scheduled,
    emit_lead_created,
    emit_lead_status_changed,
    emit_payment_overdue,
    emit_whatsapp_message_received,
)
from nexus_shared.client.fitness import fit_line
from nexus_shared.client.generate import EMITTERS, drift, emitter_name, write
from nexus_shared.envelope import Event

PUBLISHER = NexusPublisher("amqp://pub.clinica-sul.crm:x@127.0.0.1/nexus", "clinica-sul", "crm")
NINE = datetime(2027, 3, 1, 9, tzinfo=UTC)


class Desk:
    """Takes what an emitter publishes and checks it as the publisher does."""

    def __init__(self, user: str = "pub.clinica-sul.crm") -> None:
        self._user = user

    def publish(
        self, event: Event | str, data: Mapping[str, Any] | None = None, **details: Any
    ) -> dict[str, Any]:
        assert isinstance(event, str)
        fact = PUBLISHER.event(event, data or {}, **details)
        line = fit_line(fact, tenant_id="clinica-sul", source="crm", user=self._user)
        document: dict[str, Any] = orjson.loads(line)
        return document


def test_the_committed_emitters_are_the_catalogues() -> None:
    assert drift(EMITTERS) == []


def test_drift_is_found_and_mended(tmp_path: Path) -> None:
    write(tmp_path)
    assert drift(tmp_path) == []
    (tmp_path / "lead.py").write_text("")
    (tmp_path / "gone.py").write_text("")
    (tmp_path / "payment.py").unlink()
    assert len(drift(tmp_path)) == 3
    check = [sys.executable, "-m", "nexus_shared.client.generate", "--check", "--directory", str(tmp_path)]
    assert subprocess.run(check, capture_output=True).returncode == 1
    assert subprocess.run([part for part in check if part != "--check"]).returncode == 0
    assert subprocess.run(check).returncode == 0


@pytest.mark.parametrize("event_type", all_types().values(), ids=lambda each: each.name)
def test_every_type_has_an_emitter_that_takes_its_fields(event_type: EventType) -> None:
    emitter = getattr(emitters, emitter_name(event_type))
    assert getattr(NexusPublisher, emitter_name(event_type)) is emitter
    parameters = inspect.signature(emitter).parameters
    required = {name for name, field in event_type.data.model_fields.items() if field.is_required()}
    assert set(event_type.data.model_fields) == set(parameters) - {"publisher", "details"}
    assert {name for name, each in parameters.items() if each.default is each.empty} == required | {
        "publisher",
        "details",
    }
    assert all(f"{name}: " in (emitter.__doc__ or "") for name in event_type.data.model_fields)


def test_the_original_systems_events_are_one_call_each() -> None:
    desk = Desk()
    lead = emit_lead_created(desk, lead_id="L-17", name="Ana", utm={"source": "google"}, id="lead-17-created")
    assert (lead["id"], lead["type"], lead["subject"]) == ("lead-17-created", "lead.created", "lead/L-17")
    assert lead["data"] == {"lead_id": "L-17", "name": "Ana", "utm": {"source": "google"}}
    moved = emit_lead_status_changed(desk, lead_id="L-17", from_status="novo", to_status="qualificado")
    assert moved["type"] == "lead.status_changed"
    booked = emit_appointment_scheduled(desk, appointment_id="A-1", patient_id="P-1", starts_at=NINE)
    assert booked["data"]["starts_at"] == "2027-03-01T09:00:00Z"
    assert (
        emit_appointment_completed(desk, appointment_id="A-1", patient_id="P-1")["subject"]
        == "appointment/A-1"
    )
    overdue = emit_payment_overdue(desk, invoice_id="I-1", due_date=date(2027, 3, 1), amount_cents=12990)
    assert overdue["data"] == {"invoice_id": "I-1", "due_date": "2027-03-01", "amount_cents": 12990}
    received = emit_whatsapp_message_received(
        Desk("svc.whatsapp-gateway"), message_id="M-1", conversation_id="C-1"
    )
    assert received["type"] == "whatsapp.message.received"


def test_a_field_whose_name_python_reserves_goes_out_under_its_own() -> None:
    slot = {"starts_at": NINE}
    moved = emit_appointment_rescheduled(Desk(), appointment_id="A-1", from_=slot, to=slot)  # type: ignore[arg-type]
    assert set(moved["data"]) == {"appointment_id", "from", "to"}


def test_a_type_of_another_service_is_refused_with_its_owner() -> None:
    with pytest.raises(EventInvalid, match="whatsapp-gateway only"):
        emit_whatsapp_message_received(Desk(), message_id="M-1")


@pytest.mark.integration
async def test_emitters_serve_the_asynchronous_publisher(inbox: Any, tmp_path: Path) -> None:
    async with NexusPublisher(inbox.crm_url, "clinica-sul", "crm", tmp_path) as publisher:
        await emit_lead_created(publisher, lead_id="L-1", id="function")
        assert (await publisher.emit_lead_created(lead_id="L-1", id="method")).id == "method"
        await publisher.later.emit_lead_created(lead_id="L-1", id="later")
    assert await inbox.ids() == ["function", "method", "later"]


@pytest.mark.integration
async def test_emitters_serve_the_synchronous_publisher(inbox: Any, tmp_path: Path) -> None:
    def crm() -> None:
        with SyncNexusPublisher(inbox.crm_url, "clinica-sul", "crm", tmp_path) as publisher:
            assert emit_lead_created(publisher, lead_id="L-1", id="function").id == "function"
            assert publisher.emit_lead_created(lead_id="L-1", id="method").id == "method"
            assert publisher.later.emit_lead_created(lead_id="L-1", id="later").id == "later"

    await asyncio.to_thread(crm)
    assert await inbox.ids() == ["function", "method", "later"]

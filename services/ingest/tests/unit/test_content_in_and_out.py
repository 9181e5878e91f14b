from datetime import timedelta
from typing import Any

import orjson
import pytest

from nexus_ingest.domain.content import Stored, canonical, digest_of, outgoing, placed, rejoined, sealed_plain
from nexus_ingest.domain.door import Admitted, Moment, Publisher, admit
from nexus_shared import strict_json
from nexus_shared.envelope import Event
from nexus_shared.ids import TenantId
from nexus_shared.testing.builders import NOW, a_lead_created, an_appointment_scheduled

KEY = b"k" * 32
CRM = Publisher("crm", TenantId("clinica-sul"))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def admitted(event: Event | dict[str, Any]) -> Admitted:
    value = event if isinstance(event, dict) else event.as_dict()
    return admit(strict_json.inspect(value), CRM, Moment.at(NOW, timedelta(days=35)))


def digest(event: Event | dict[str, Any]) -> bytes:
    return digest_of(KEY, canonical(admitted(event)))


def stored(event: Admitted, position: int = 42) -> Stored:
    """The row that the log would hold; `sealed` is opened by the caller."""
    given = event.event
    return Stored(
        position, NOW, 3, given.tenantid, given.source, given.id, given.type, given.schemaversion, event.subject,
        event.occurred_at, event.correlation_id, given.causationid, given.hops, given.traceparent,
        strict_json.dumps(event.open).decode(), b"sealed", None, b"",
    )  # fmt: skip


EVENTS = [
    a_lead_created(),
    an_appointment_scheduled(number=7),
    a_lead_created(clinicunit="paulista", nested={"a": [1]}, hops=3, causationid="c", traceparent=TRACE),
    a_lead_created(type="lab.result_arrived", subject=None, data={"patient_id": "P-1"}),
    a_lead_created(data={"brand_new_field": {"x": [1, 2.5, "ção", None]}}),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_what_goes_out_at_once_and_what_is_read_back_from_the_log_are_the_same(event: Event) -> None:
    taken = admitted(event)
    at_once = placed(outgoing(taken, canonical(taken)), 42, NOW)
    assert orjson.loads(rejoined(stored(taken), sealed_plain(taken))) == orjson.loads(at_once)
    read = Event.model_validate_json(at_once)
    assert (read.data, read.position, read.hops, read.traceparent) == (
        event.data,
        42,
        event.hops,
        event.traceparent,
    )
    assert strict_json.load(at_once)[0][0].flaw is None, "no key stands twice"


def test_what_went_out_may_come_in_again_and_is_the_same_event() -> None:
    event = a_lead_created(clinicunit="paulista")
    taken = admitted(event)
    out = orjson.loads(placed(outgoing(taken, canonical(taken)), 42, NOW))
    assert digest(out) == digest(event)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "lab.other"}, {"subject": None}, {"schemaversion": 2}, {"data": {"status": "other"}},
        {"data": {"name": "Other"}}, {"clinicunit": "paulista"}, {"id": "2"}, {"source": "site"},
    ],
    ids=str,
)  # fmt: skip
def test_other_content_has_another_digest(changes: dict[str, Any]) -> None:
    event = {**a_lead_created(type="lab.result").as_dict(), "subject": "x"}
    changed = {**event, **changes, "data": {**event["data"], **changes.get("data", {})}}
    assert digest(changed) != digest(event)


def test_what_is_not_content_does_not_change_the_digest() -> None:
    event = a_lead_created().as_dict()
    later = {
        **event,
        "time": (NOW - timedelta(hours=1)).isoformat(),
        "hops": 5,
        "correlationid": "x",
        "traceparent": TRACE,
    }
    shuffled = dict(reversed(event.items())) | {"data": dict(reversed(event["data"].items()))}
    assert digest(later) == digest(shuffled) == digest(event)


def test_a_digest_tells_nothing_without_the_key() -> None:
    content = canonical(admitted(a_lead_created()))
    assert digest_of(KEY, content) != digest_of(b"x" * 32, content)
    assert len(digest_of(KEY, content)) == 32


def test_an_erased_persons_part_stays_away() -> None:
    taken = admitted(a_lead_created(clinicunit="paulista"))
    read = orjson.loads(rejoined(stored(taken), None))
    assert read["data"] == dict(taken.open)
    assert "clinicunit" not in read
    assert "Beatriz" not in str(read) and a_lead_created().data["phone"] not in str(read)


def test_nothing_is_sealed_where_nothing_is_personal() -> None:
    fact = {
        **a_lead_created().as_dict(), "type": "lead.assigned", "subject": "lead/1",
        "data": {"lead_id": "1", "owner_id": "atendente-1"},
    }  # fmt: skip
    taken = admitted(fact)
    assert (sealed_plain(taken) is None) == (not taken.sealed)

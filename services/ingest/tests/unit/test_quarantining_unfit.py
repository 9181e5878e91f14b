from datetime import timedelta
from typing import Any

import orjson
import pytest

from nexus_ingest.domain.door import Admitted, Moment, Publisher, Refused, admit, broker_publisher
from nexus_ingest.domain.quarantining import (
    KEPT_BYTES,
    conflict_of,
    quarantined_fact,
    rejected_event,
    rejected_message,
)
from nexus_shared import strict_json, wire
from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.errors import Flaw, InputInvalid
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.testing.builders import NOW, a_lead_created

MOMENT = Moment.at(NOW, timedelta(days=35))
INGEST = Publisher("svc.ingest", None, service="ingest")
CRM = broker_publisher("clinica-sul.lead.created", "pub.clinica-sul.crm")


def a_delivery(
    body: bytes, content_type: str = STRUCTURED, key: str = "clinica-sul.lead.created"
) -> Delivery:
    return Delivery(body, key, content_type, user_id="pub.clinica-sul.crm")


def rejected(delivery: Delivery) -> list[Any]:
    """What of a message goes to quarantine."""
    publisher = broker_publisher(delivery.key, delivery.user_id)
    try:
        items, is_batch = wire.read(delivery.body, delivery.content_type, delivery.headers)
    except InputInvalid as error:
        return [rejected_message(delivery, publisher, error)]
    found = []
    for item in items:
        try:
            admit(item, publisher, MOMENT, "" if is_batch else delivery.key)
        except Refused as refused:
            found.append(rejected_event(item, delivery, publisher, refused))
    return found


def is_recordable(fact: dict[str, Any]) -> bool:
    return isinstance(admit(strict_json.inspect(fact), INGEST, MOMENT), Admitted)


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"not json", STRUCTURED, "not-json"),
        (b"\xff", STRUCTURED, "not-json"),
        (b"{}", "text/plain", "content-type"),
        (b"{}", "", "content-type"),
        (b"{}", BATCH, "validation"),
        (b"[]", STRUCTURED, "validation"),
        (b"x" * 300_000, STRUCTURED, "too-large"),
        (b"[" + b",".join([b"{}"] * 501) + b"]", BATCH, "too-large"),
    ],
)
def test_a_message_of_which_nothing_can_be_read_is_kept_as_it_came(
    body: bytes, content_type: str, reason: str
) -> None:
    (entry,) = rejected(a_delivery(body, content_type))
    assert (entry.reason, entry.tenant_id, entry.publisher) == (reason, "clinica-sul", "pub.clinica-sul.crm")
    assert (entry.content, entry.content_type) == (body, content_type)
    assert entry.kept == body[:KEPT_BYTES]
    assert entry.flaw.message
    assert is_recordable(quarantined_fact(entry))


def test_one_bad_event_of_a_batch_is_kept_with_what_is_known_of_it() -> None:
    good, bad = a_lead_created().as_dict(), a_lead_created(number=2).as_dict()
    bad["data"]["phone"] = "canary"
    (entry,) = rejected(a_delivery(orjson.dumps([good, bad, good]), BATCH, "clinica-sul.batch"))
    assert (entry.source, entry.event_id, entry.type) == ("crm", bad["id"], "lead.created")
    assert (entry.reason, entry.flaw.pointer) == ("schema", "/data/phone")
    assert orjson.loads(entry.content) == bad
    assert "canary" not in entry.flaw.message


def test_two_events_that_cannot_be_written_again_are_two_entries_with_their_own_text() -> None:
    texts = [
        '{"id":"a","data":{"x":NaN}}',
        '{"id":"b","id":"b"}',
        '{"id":"c","data":{"x":' + "[" * 2_000 + "]" * 2_000 + "}}",
    ]
    entries = rejected(a_delivery(f"[{','.join(texts)}]".encode(), BATCH, "clinica-sul.batch"))
    assert [entry.content.decode() for entry in entries] == texts
    assert len({entry.quarantine_id for entry in entries}) == 3


def test_the_same_content_again_is_the_same_entry_and_other_content_is_not() -> None:
    def entry(name: str, key: str = "clinica-sul.lead.created") -> Any:
        return rejected(a_delivery(orjson.dumps({"id": "1", "name": name}), key=key))[0]

    assert entry("a").quarantine_id == entry("a").quarantine_id
    ids = {entry("a").quarantine_id, entry("b").quarantine_id, entry("a", "clinica-norte.x").quarantine_id}
    assert len(ids) == 3


def test_a_conflict_is_told_apart_by_its_content_and_not_by_the_moment_it_came() -> None:
    one = conflict_of("clinica-sul", "crm", "1", "lead.created", b'{"time":"10:00"}', b"digest")
    again = conflict_of("clinica-sul", "crm", "1", "lead.created", b'{"time":"10:01"}', b"digest")
    other = conflict_of("clinica-sul", "crm", "1", "lead.created", b'{"time":"10:00"}', b"other")
    assert one.quarantine_id == again.quarantine_id != other.quarantine_id
    assert (one.reason, one.flaw.pointer) == ("conflict", "/id")
    assert is_recordable(quarantined_fact(one))


@pytest.mark.parametrize(
    "envelope",
    [
        {"id": "a\nb"},
        {"id": "x" * 190, "data": None},
        {"id": "x" * 5_000, "source": "y" * 5_000, "type": "z" * 5_000},
        {"id": "", "source": "", "type": ""},
        {"id": 7, "source": None, "type": ["a"]},
        {"id": "\x00", "source": "a\x00b", "type": "\x00"},
        {"data": {"k" * 200: {"l" * 200: {"m" * 200: 2**60}}}},
    ],
    ids=lambda envelope: str(envelope)[:40],
)
def test_the_fact_that_tells_the_publisher_can_always_be_recorded(envelope: dict[str, Any]) -> None:
    (entry,) = rejected(a_delivery(orjson.dumps({**a_lead_created().as_dict(), **envelope})))
    fact = quarantined_fact(entry)
    assert is_recordable(fact)
    assert "\x00" not in str(fact)
    assert (fact["tenantid"], fact["id"]) == ("clinica-sul", str(entry.quarantine_id))
    assert fact["data"]["reason"] == entry.flaw.message


@pytest.mark.parametrize("key", ["", ".x", "UPPER.x", "a b.x", "\x00.x", "ção.x", "x" * 200])
def test_where_the_key_names_no_tenant_the_platform_keeps_it(key: str) -> None:
    (entry,) = rejected(Delivery(b"x", key))
    assert entry.tenant_id == "nexus"
    assert is_recordable(quarantined_fact(entry))


def test_only_the_first_64_kib_are_kept_and_the_hash_is_of_everything() -> None:
    entries = [rejected(a_delivery(b"x" * 300_000 + end))[0] for end in (b"a", b"b")]
    assert [len(entry.kept) for entry in entries] == [KEPT_BYTES] * 2
    assert entries[0].content_hash != entries[1].content_hash


def test_a_flaw_without_words_still_has_a_reason() -> None:
    entry = rejected_message(a_delivery(b""), CRM, InputInvalid("Nothing in it"))
    assert entry.flaw == Flaw("", "Nothing in it", "validation")

"""What a dead message says about itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from nexus_shared.ids import PLATFORM, is_tenant_id
from nexus_trigger_processor.domain.dead_letters import autopsy

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)


def headers(queue: str = "whatsapp-gateway.commands", **first: Any) -> dict[str, Any]:
    death = {
        "queue": queue,
        "reason": "rejected",
        "count": 2,
        "time": AT,
        "exchange": "nexus.commands",
        **first,
    }
    return {"x-death": [death], "x-first-death-queue": queue, "x-first-death-reason": "rejected"}


def test_a_command_names_its_tenant_and_type() -> None:
    body = json.dumps({"tenantid": "clinica-sul", "type": "whatsapp.send_message"}).encode()
    found = autopsy(body, headers())
    assert (found.tenant_id, found.type) == ("clinica-sul", "whatsapp.send_message")
    assert (found.queue, found.cause) == ("whatsapp-gateway.commands", "rejected")
    assert found.deaths == [
        {"queue": "whatsapp-gateway.commands", "reason": "rejected", "count": 2, "at": AT.isoformat()}
    ]


def test_a_frame_of_one_tenant_is_that_tenants_and_a_mixed_one_the_platforms() -> None:
    one = [{"tenantid": "a", "type": "lead.created"}, {"tenantid": "a", "type": "lead.lost"}]
    mixed = [*one, {"tenantid": "b"}]
    assert (autopsy(json.dumps(one).encode(), {}).tenant_id, autopsy(json.dumps(one).encode(), {}).type) == (
        "a",
        None,
    )
    assert autopsy(json.dumps(mixed).encode(), {}).tenant_id == PLATFORM


def test_an_unreadable_event_belongs_to_the_tenant_of_its_routing_key() -> None:
    key = {"exchange": "nexus.inbound", "routing-keys": ["clinica-sul.lead.created"]}
    assert autopsy(b"\xff", headers(**key)).tenant_id == "clinica-sul"


def test_an_unreadable_commands_key_is_not_taken_for_a_tenant() -> None:
    assert autopsy(b"\xff", headers(**{"routing-keys": ["whatsapp.send_message"]})).tenant_id == PLATFORM


def test_a_tenant_that_cannot_be_one_is_not_believed() -> None:
    for tenant in ("../etc", "NEXUS", "a" * 64, 7, None, ["a"]):
        assert autopsy(json.dumps({"tenantid": tenant}).encode(), {}).tenant_id == PLATFORM


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=4,
)
DEATH = ("queue", "reason", "count", "time", "routing-keys", "exchange")
deaths = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(DEATH, anything)), max_size=12)
some_headers = st.fixed_dictionaries(
    {},
    optional={
        "x-death": anything | deaths,
        "x-first-death-queue": anything,
        "x-first-death-reason": anything,
    },
)


@given(
    body=st.binary() | anything.map(lambda value: json.dumps(value, default=str).encode()), given=some_headers
)
def test_whatever_comes_gets_an_answer_that_can_be_stored(body: bytes, given: dict[str, Any]) -> None:
    found = autopsy(body, given)
    assert is_tenant_id(found.tenant_id)
    texts = [found.queue, found.cause, found.type or "", *[death["queue"] for death in found.deaths]]
    assert all(text.isprintable() and len(text) <= 200 for text in texts)
    assert found.queue and found.cause
    assert b"\\u0000" not in orjson.dumps(found.deaths)

"""The log as its tenant sees it: lists, filters, cursors, single events, stories, and processing again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
import orjson
import pytest

from nexus_shared import topology
from nexus_shared.access.principal import Scope
from nexus_shared.envelope import Event, follow
from nexus_shared.testing.builders import (
    a_lead_created,
    a_lead_status_changed,
    a_payment_overdue,
    an_appointment_scheduled,
)

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


def ids(page: Any) -> list[str]:
    return [item["event"]["id"] for item in page["items"]]


def an_unknown_event(**changes: Any) -> Event:
    return Event(
        **{"id": "u-1", "source": "lab", "type": "exam.result_ready", "tenantid": "x", "data": {"a": 1}}
        | changes
    )


async def test_events_are_listed_newest_first_with_their_data_joined(clinic: Any) -> None:
    first, second = a_lead_created(id="e-1"), a_lead_status_changed(id="e-2")
    await clinic.publish(first, second)

    page = await clinic.get("/v1/events")

    assert ids(page) == ["e-2", "e-1"]
    assert page["next_cursor"] is None
    item = page["items"][1]
    assert item["event"]["data"] == first.data
    assert item["event"]["sequence"] == str(item["position"])
    assert (item["is_known"], item["erased"], item["status"]) == (True, False, "pending")


async def test_a_cursor_leads_through_the_whole_log_in_either_order(clinic: Any) -> None:
    published = [f"e-{number}" for number in range(7)]
    await clinic.publish(*(a_lead_created(number=number, id=id) for number, id in enumerate(published)))

    for order, expected in (("asc", published), ("desc", published[::-1])):
        seen, cursor = [], None
        while True:
            params = {"limit": 3, "order": order} | ({"cursor": cursor} if cursor else {})
            page = await clinic.get("/v1/events", **params)
            seen += ids(page)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == expected


@pytest.fixture
async def mixed(clinic: Any) -> Any:
    """A clinic with a lead, its change, a charge and something of a type that nobody declared."""
    await clinic.publish(
        a_lead_created(id="created", data={"status": "novo 100% quente"}),
        a_lead_status_changed(id="changed", correlationid="created"),
        a_payment_overdue(id="overdue"),
        an_unknown_event(id="unknown"),
    )
    return clinic


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": "lead.created"}, ["created"]),
        ({"type": "lead.*"}, ["changed", "created"]),
        ({"type": ["payment.*", "exam.*"]}, ["unknown", "overdue"]),
        ({"type": "*"}, ["unknown", "overdue", "changed", "created"]),
        ({"type": "lead_created"}, []),
        ({"subject": "lead/lead-1"}, ["changed", "created"]),
        ({"correlation_id": "created"}, ["changed", "created"]),
        ({"correlation_id": "overdue"}, ["overdue"]),
        ({"text": "100% q"}, ["created"]),
        ({"text": "qualificado"}, ["changed"]),
        ({"text": "100_ q"}, []),
        ({"is_known": "false"}, ["unknown"]),
        ({"status": "pending", "type": "lead.*"}, ["changed", "created"]),
        ({"status": "processed"}, []),
        ({"type": "lead.*", "text": "novo", "order": "asc"}, ["created", "changed"]),
    ],
)
async def test_filters_choose(mixed: Any, filters: dict[str, Any], expected: list[str]) -> None:
    assert ids(await mixed.get("/v1/events", **filters)) == expected


async def test_a_name_is_not_found_by_text_because_it_is_sealed(clinic: Any) -> None:
    event = a_lead_created()
    await clinic.publish(event)

    assert ids(await clinic.get("/v1/events", text=str(event.data["name"]))) == []


async def test_times_are_those_of_recording(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="e-1"))
    now = datetime.now(UTC)

    before = await clinic.get("/v1/events", until=(now - timedelta(minutes=5)).isoformat())
    after = await clinic.get("/v1/events", from_=(now - timedelta(minutes=5)).isoformat())

    assert ids(before) == []
    assert ids(after) == ["e-1"]


async def test_an_event_of_a_rare_type_is_found_beyond_the_first_window(
    clinic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_ingest.store.events.WINDOW", 4)
    await clinic.publish(
        a_payment_overdue(id="rare"), *(a_lead_created(number=n, id=f"e-{n}") for n in range(10))
    )

    pages, cursor = [], None
    while True:
        page = await clinic.get("/v1/events", type="payment.*", **({"cursor": cursor} if cursor else {}))
        pages.append(ids(page))
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert pages == [[], [], ["rare"]]


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"type": "Lead.Created!"}, "/type/0"),
        ({"from": "yesterday"}, "/from"),
        ({"until": "2026-11-23T10:00:00"}, "/until"),
        ({"limit": "0"}, "/limit"),
        ({"status": "done"}, "/status"),
        ({"order": "up"}, "/order"),
        ({"text": "x"}, "/text"),
        ({"tipo": "lead.created"}, "/tipo"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_named(clinic: Any, params: dict[str, str], place: str) -> None:
    problem = await clinic.ask("GET", "/v1/events", 422, params=params)

    assert [error["pointer"] for error in problem["errors"]] == [place]


async def test_a_cursor_that_is_not_ours_is_refused(clinic: Any) -> None:
    problem = await clinic.get("/v1/events", 400, cursor="bm9wZQ")

    assert problem["type"] == "urn:nexus:problem:cursor-invalid"


async def test_an_event_is_shown_by_its_id_and_by_its_position(clinic: Any) -> None:
    event = a_lead_created(id="pedido/17 ção")
    (result,) = await clinic.publish(event)

    by_id = await clinic.get("/v1/events/pedido%2F17%20%C3%A7%C3%A3o")
    by_position = await clinic.get(f"/v1/events/at/{result['position']}")

    assert by_id == by_position
    assert by_id["event"]["data"] == event.data


async def test_personal_data_can_be_left_out(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="e-1"))

    shown = [
        await clinic.get("/v1/events/e-1", reveal="false"),
        (await clinic.get("/v1/events", reveal="false"))["items"][0],
        (await clinic.get("/v1/events/e-1/story", reveal="false"))["items"][0],
    ]

    for item in shown:
        assert item["event"]["data"]["lead_id"] == "lead-1"
        assert item["event"]["data"].keys().isdisjoint({"name", "phone", "email", "message_first"})
        assert item["erased"] is False


async def test_an_id_used_by_two_systems_needs_the_source(clinic: Any) -> None:
    await clinic.publish(
        a_lead_created(id="e-1", source="crm"), a_lead_created(id="e-1", source="site", number=2)
    )

    problem = await clinic.get("/v1/events/e-1", 409)
    shown = await clinic.get("/v1/events/e-1", source="site")

    assert problem["type"] == "urn:nexus:problem:event-ambiguous"
    assert "crm, site" in problem["detail"]
    assert shown["event"]["subject"] == "lead/lead-2"


async def test_two_clinics_may_use_the_same_id_and_see_only_their_own(ingest: Any) -> None:
    south, north = ingest.clinic(), ingest.clinic()
    (mine,) = await south.publish(a_lead_created(id="e-1", number=1))
    (theirs,) = await north.publish(a_lead_created(id="e-1", number=2))

    assert (mine["status"], theirs["status"]) == ("stored", "stored")
    assert (await south.get("/v1/events/e-1"))["event"]["subject"] == "lead/lead-1"
    assert ids(await north.get("/v1/events")) == ["e-1"]
    await north.get(f"/v1/events/at/{mine['position']}", 404)


async def test_a_second_delivery_is_a_duplicate_with_the_first_position(clinic: Any) -> None:
    (first,) = await clinic.publish(a_lead_created(id="e-1"))
    (second,) = await clinic.publish(a_lead_created(id="e-1"))

    assert second == {"status": "duplicate", "position": first["position"]}
    assert ids(await clinic.get("/v1/events")) == ["e-1"]


@pytest.mark.parametrize(
    "path", ["/v1/events/nothing", "/v1/events/nothing/story", "/v1/events/at/4611686018427387904"]
)
async def test_what_is_not_there_is_not_found(clinic: Any, path: str) -> None:
    problem = await clinic.get(path, 404)

    assert problem["type"] == "urn:nexus:problem:event-not-found"


async def test_a_story_holds_its_events_in_order_from_any_of_them(clinic: Any) -> None:
    begin = a_lead_created(id="begin")
    middle = follow(begin, "lead.status_changed", a_lead_status_changed().data, source="crm", id="middle")
    end = follow(middle, "lead.status_changed", a_lead_status_changed().data, source="crm", id="end")
    await clinic.publish(begin, a_lead_created(id="other", number=2), middle, end)

    for id in ("begin", "middle", "end"):
        story = await clinic.get(f"/v1/events/{id}/story")
        assert (story["correlation_id"], ids(story)) == ("begin", ["begin", "middle", "end"])

    first = await clinic.get("/v1/events/end/story", limit=2)
    rest = await clinic.get("/v1/events/end/story", limit=2, cursor=first["next_cursor"])
    assert (ids(first), ids(rest), rest["next_cursor"]) == (["begin", "middle"], ["end"], None)


async def test_an_event_is_processed_when_its_lane_was_read_so_far(
    clinic: Any, ingest: Any, eventually: Eventually
) -> None:
    await clinic.publish(an_appointment_scheduled(id="e-1"))
    shown = await clinic.get("/v1/events/e-1")
    (row,) = await ingest.sql("select lane from automation_events where position = $1", shown["position"])

    positions = [0] * topology.LANES
    positions[row["lane"]] = shown["position"]
    await ingest.command("ingest.report_positions", {"lane_positions": positions})

    async def is_processed() -> bool:
        return bool((await clinic.get("/v1/events/e-1"))["status"] == "processed")

    assert shown["status"] == "pending"
    await eventually(is_processed)
    assert ids(await clinic.get("/v1/events", status="processed")) == ["e-1"]
    assert ids(await clinic.get("/v1/events", status="pending")) == []


async def test_processing_again_sends_the_whole_event_to_trigger_processor(clinic: Any, ingest: Any) -> None:
    event = a_lead_created(id="e-1")
    (result,) = await clinic.publish(event)

    answer = await clinic.ask("POST", "/v1/events/e-1/process", 202)

    assert answer == {"position": result["position"]}
    connection = await aio_pika.connect(ingest.vhost.url)
    async with connection:
        queue = await (await connection.channel()).get_queue(topology.commands_of("trigger-processor"))
        message = await queue.get(timeout=5)
        await message.ack()
    command = orjson.loads(message.body)
    assert (message.routing_key, command["type"]) == (command["type"], "trigger_processor.process_event")
    assert command["tenantid"] == clinic.tenant_id
    assert command["data"]["event"] == (await clinic.get("/v1/events/e-1"))["event"]
    assert command["data"]["event"]["data"] == event.data


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/events", "events:read"),
        ("GET", "/v1/events/stats", "events:read"),
        ("GET", "/v1/events/stream", "events:read"),
        ("GET", "/v1/events/e-1", "events:read"),
        ("POST", "/v1/events/e-1/process", "events:write"),
        ("POST", "/v1/events/erasures", "tenant:write"),
        ("GET", "/v1/quarantine", "quarantine:read"),
        ("POST", "/v1/quarantine/6f1d9a52-9c4e-5b6e-8a57-6e65787573a1/record", "quarantine:write"),
        ("GET", "/v1/tokens", "tokens:manage"),
        ("GET", "/v1/tenants", "tenants:manage"),
    ],
)
async def test_a_key_without_the_scope_is_told_which_one_it_lacks(
    ingest: Any, method: str, path: str, scope: str
) -> None:
    other = {Scope.EVENTS_READ, Scope.EVENTS_WRITE, Scope.QUARANTINE_READ} - {Scope(scope)}

    problem = await ingest.clinic(*other).ask(method, path, 403)

    assert scope in problem["detail"]

"""The live feed: events as they are recorded, resumed without a gap, for as long as the key counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest

from nexus_ingest.handlers import feed as feeding
from nexus_ingest.handlers.feed import Feed
from nexus_shared.testing.builders import a_lead_created, a_lead_status_changed, a_payment_overdue

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


class Listening:
    """One client of the feed."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> tuple[int, dict[str, Any]]:
        """(id, event)."""
        async with asyncio.timeout(5):
            return await self._next()

    async def ids(self, number: int) -> list[str]:
        return [(await self.next())[1]["id"] for _ in range(number)]

    async def ended(self) -> bool:
        async with asyncio.timeout(8):
            try:
                await self._next()
            except StopAsyncIteration:
                return True
            return False

    async def _next(self) -> tuple[int, dict[str, Any]]:
        position, data = 0, ""
        while line := await anext(self._lines):
            name, _, value = line.partition(": ")
            if name == "id":
                position = int(value)
            elif name == "data":
                data = value
        return (position, orjson.loads(data)) if data else await self._next()


@asynccontextmanager
async def listening(clinic: Any, after: int | None = None, **params: Any) -> AsyncIterator[Listening]:
    """Returns when the feed has taken the client in."""
    headers = {"Last-Event-ID": str(after)} if after is not None else {}
    feed = clinic.ingest.handler(Feed)
    before = feed.listeners(clinic.tenant_id)
    async with clinic.http.stream("GET", "/v1/events/stream", params=params, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async with asyncio.timeout(5):
            while feed.listeners(clinic.tenant_id) == before:
                await asyncio.sleep(0.01)
        yield Listening(answer.aiter_lines())


async def test_events_come_as_they_are_recorded(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="earlier"))
    async with listening(clinic) as feed:
        (result,) = await clinic.publish(a_lead_created(id="e-1", number=2))

        position, event = await feed.next()

    assert position == result["position"]
    assert (event["id"], event["sequence"]) == ("e-1", str(position))
    assert event["data"] == a_lead_created(number=2).data


async def test_a_client_that_comes_back_misses_nothing(clinic: Any) -> None:
    results = await clinic.publish(*(a_lead_created(number=n, id=f"e-{n}") for n in range(5)))
    async with listening(clinic, after=results[1]["position"]) as feed:
        await clinic.publish(a_lead_created(number=9, id="e-9"))

        assert await feed.ids(4) == ["e-2", "e-3", "e-4", "e-9"]


async def test_a_feed_may_begin_after_a_position_named_in_the_address(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="e-1"))
    async with listening(clinic, after=0) as feed:
        assert await feed.ids(1) == ["e-1"]


async def test_filters_choose_what_comes(clinic: Any) -> None:
    async with (
        listening(clinic, type="lead.*", subject="lead/lead-1") as lead,
        listening(clinic, type=["payment.*", "lead.created"]) as both,
    ):
        await clinic.publish(
            a_lead_created(id="other", number=2),
            a_payment_overdue(id="overdue"),
            a_lead_created(id="created"),
            a_lead_status_changed(id="changed"),
        )

        assert await lead.ids(2) == ["created", "changed"]
        assert await both.ids(3) == ["other", "overdue", "created"]


async def test_a_clinic_hears_only_its_own(clinic: Any, ingest: Any) -> None:
    other = ingest.clinic()
    async with listening(clinic, after=0) as feed:
        await other.publish(a_lead_created(id="theirs"))
        await clinic.publish(a_lead_created(id="mine"))

        assert await feed.ids(1) == ["mine"]


async def test_what_another_instance_records_comes_too(clinic: Any, instance: Any) -> None:
    async with instance(roles="") as url, listening(clinic) as feed:
        event = a_lead_created(id="there", tenantid=clinic.tenant_id)
        answer = await clinic.http.post(
            f"{url}/v1/events",
            content=event.to_json(),
            headers={"content-type": "application/cloudevents+json"},
        )
        assert answer.status_code == 202

        assert await feed.ids(1) == ["there"]


async def test_nobody_reads_the_log_when_nobody_listens(
    clinic: Any, ingest: Any, eventually: Eventually
) -> None:
    feed = ingest.handler(Feed)
    async with listening(clinic):
        assert feed.is_following

    async def is_idle() -> bool:
        return not feed.is_following

    await eventually(is_idle)
    assert feed.listeners() == 0


async def test_a_listener_ends_when_its_key_is_taken_back(clinic: Any, ingest: Any) -> None:
    made = await clinic.ask("POST", "/v1/tokens", 201, json={"name": "tv", "scopes": ["events:read"]})
    screen = ingest.clinic(tenant_id=clinic.tenant_id, token=made["token"])

    async with listening(screen, type="lead.*") as feed:
        await clinic.ask("DELETE", f"/v1/tokens/{made['jti']}", 204)

        assert await feed.ended()


async def test_a_listener_that_is_too_slow_is_let_go_and_resumes(
    clinic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "MOST_WAITING", 3)
    events = [a_lead_created(number=n, id=f"e-{n}") for n in range(20)]
    first: list[str] = []
    position = 0
    async with listening(clinic) as feed:
        await clinic.publish(*events)
        with suppress(StopAsyncIteration):
            while True:
                position, event = await feed.next()
                first.append(event["id"])

    async with listening(clinic, after=position) as feed:
        rest = await feed.ids(20 - len(first))

    assert 0 < len(first) < 20
    assert first + rest == [event.id for event in events]


async def test_one_listener_too_many_is_told_to_come_back(
    clinic: Any, ingest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "MOST_OF_A_TENANT", 1)
    async with listening(clinic), listening(ingest.clinic()):
        answer = await clinic.http.get("/v1/events/stream")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"


async def test_a_place_that_is_none_is_refused(clinic: Any) -> None:
    answer = await clinic.http.get("/v1/events/stream", headers={"Last-Event-ID": "yesterday"})

    assert answer.status_code == 422

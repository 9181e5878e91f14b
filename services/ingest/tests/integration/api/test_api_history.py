"""History over the broker, as trigger-processor reads it: with its own rights, chunk by chunk, without a gap."""

from __future__ import annotations

from contextlib import aclosing
from itertools import chain
from typing import Any

import aio_pika
import orjson
import pytest

from nexus_shared import topology
from nexus_shared.envelope import Command
from nexus_shared.messaging.history import HistoryReader, HistoryUnanswered
from nexus_shared.testing.builders import a_lead_created, a_payment_overdue

pytestmark = pytest.mark.integration


@pytest.fixture
def reader(ingest: Any) -> Any:
    def make(**options: Any) -> HistoryReader:
        return HistoryReader(ingest.vhost.url_of("svc.trigger-processor"), **options)

    return make


async def read(reader: HistoryReader, clinic: Any, **options: Any) -> list[list[str]]:
    return [[event["id"] for event in chunk] async for chunk in reader.read(clinic.tenant_id, **options)]


async def test_a_tenants_history_comes_whole_and_in_order(clinic: Any, ingest: Any, reader: Any) -> None:
    await clinic.publish(*(a_lead_created(number=n, id=f"e-{n}") for n in range(130)))
    await ingest.clinic().publish(a_lead_created(id="theirs"))
    await clinic.publish(a_payment_overdue(id="last"))

    chunks = await read(reader(), clinic)

    assert [len(chunk) for chunk in chunks] == [100, 31]
    assert list(chain(*chunks)) == [f"e-{n}" for n in range(130)] + ["last"]


async def test_events_come_as_they_were_published(clinic: Any, reader: Any) -> None:
    event = a_lead_created(id="e-1")
    (result,) = await clinic.publish(event)

    async with aclosing(reader().read(clinic.tenant_id)) as chunks:
        ((read_event,),) = [chunk async for chunk in chunks]

    assert read_event == (await clinic.get("/v1/events/e-1"))["event"]
    assert read_event["data"] == event.data
    assert read_event["sequence"] == str(result["position"])


@pytest.mark.parametrize("chunk_events", [1, 3, 5, 1000])
async def test_bounds_and_types_choose_whatever_the_size_of_a_chunk(
    clinic: Any, reader: Any, chunk_events: int
) -> None:
    results = await clinic.publish(
        *(a_lead_created(number=n, id=f"e-{n}") for n in range(5)),
        a_payment_overdue(id="overdue"),
        *(a_lead_created(number=n, id=f"e-{n}") for n in range(5, 10)),
    )
    bounds = {"after": results[1]["position"], "until": results[8]["position"]}
    chunked = reader(chunk_events=chunk_events)

    between = await read(chunked, clinic, **bounds)
    leads = await read(chunked, clinic, types=["lead.created"], **bounds)
    nothing = await read(chunked, clinic, types=["quote.accepted"])

    assert list(chain(*between)) == ["e-2", "e-3", "e-4", "overdue", "e-5", "e-6", "e-7"]
    assert list(chain(*leads)) == ["e-2", "e-3", "e-4", "e-5", "e-6", "e-7"]
    assert nothing == []


async def test_reading_ends_where_the_log_ended_when_it_began(clinic: Any, reader: Any) -> None:
    await clinic.publish(*(a_lead_created(number=n, id=f"e-{n}") for n in range(4)))

    seen: list[str] = []
    async for chunk in reader(chunk_events=2).read(clinic.tenant_id, until=2**62):
        seen += [event["id"] for event in chunk]
        await clinic.publish(a_lead_created(number=50 + len(seen), id=f"later-{len(seen)}"))

    assert seen == ["e-0", "e-1", "e-2", "e-3"]


async def test_large_events_travel_in_frames_of_a_quarter_mebibyte(clinic: Any, reader: Any) -> None:
    await clinic.publish(
        *(a_lead_created(number=n, id=f"e-{n}", data={"interest_text": "x" * 60_000}) for n in range(10))
    )

    chunks = await read(reader(), clinic)

    assert [len(chunk) for chunk in chunks] == [4, 4, 2]


async def test_an_erased_person_is_erased_from_history(clinic: Any, reader: Any) -> None:
    await clinic.publish(a_lead_created(id="e-1"))
    await clinic.ask("POST", "/v1/events/erasures", json={"person": "lead/lead-1", "reason": "Pedido"})

    (chunk,) = [chunk async for chunk in reader().read(clinic.tenant_id, types=["lead.created"])]

    assert "name" not in chunk[0]["data"]


async def test_a_reader_that_gets_no_answer_in_time_says_so(clinic: Any, reader: Any) -> None:
    with pytest.raises(HistoryUnanswered):
        await read(reader(answer_seconds=0.0001), clinic)


async def test_a_request_that_makes_no_sense_becomes_a_dead_letter(clinic: Any, ingest: Any) -> None:
    wrong = Command(
        id="wrong",
        source="trigger-processor",
        type="ingest.read",
        tenantid=clinic.tenant_id,
        data={"tenant": clinic.tenant_id, "after": -1},
    )
    connection = await aio_pika.connect(ingest.vhost.url_of("svc.trigger-processor"))
    async with connection:
        exchange = await (await connection.channel()).get_exchange(topology.COMMANDS, ensure=False)
        message = aio_pika.Message(wrong.to_json(), user_id="svc.trigger-processor")
        await exchange.publish(message, "ingest.read")

    connection = await aio_pika.connect(ingest.vhost.url)
    async with connection:
        queue = await (await connection.channel()).get_queue(topology.DEAD_LETTER_QUEUE)
        dead = await queue.get(timeout=10, fail=False) or await queue.get(timeout=10)
        await dead.ack()
    assert orjson.loads(dead.body)["id"] == "wrong"

"""What becomes of events that come over HTTP and AMQP, good and bad, once and again."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest

from nexus_ingest.domain.door import Publisher
from nexus_ingest.handlers import appending
from nexus_ingest.handlers.appending import Ready
from nexus_shared import strict_json
from nexus_shared.envelope import BATCH, STRUCTURED, Event
from nexus_shared.errors import RetryLater, StoreAway
from nexus_shared.ids import TenantId
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.testing.builders import a_lead_created
from nexus_shared.testing.faultproxy import FaultProxy

pytestmark = pytest.mark.integration

CRM = Publisher("crm", TenantId("clinica-sul"))


def leads(*numbers: int, **changes: Any) -> list[dict[str, Any]]:
    return [a_lead_created(number=number, **changes).as_dict() for number in numbers]


def single(event: dict[str, Any] | bytes, *, key: str = "clinica-sul.lead.created") -> Delivery:
    body = event if isinstance(event, bytes) else orjson.dumps(event)
    return Delivery(body, key, STRUCTURED, user_id="pub.clinica-sul.crm")


def batch(events: list[Any] | bytes) -> Delivery:
    body = events if isinstance(events, bytes) else orjson.dumps(events)
    return Delivery(body, "clinica-sul.batch", BATCH, user_id="pub.clinica-sul.crm")


async def by_http(instance: Any, events: list[Any], publisher: Publisher = CRM) -> list[tuple[str, Any]]:
    verdicts = await instance.recorder.record([strict_json.inspect(event) for event in events], publisher)
    return [
        ("refused", verdict.refused.reason)
        if verdict.refused
        else (verdict.answer.status, verdict.answer.position)
        for verdict in verdicts
    ]


async def by_amqp(instance: Any, *deliveries: Delivery) -> None:
    await instance.recorder.commit(await instance.recorder.prepare(deliveries))


async def told(instance: Any) -> list[dict[str, Any]]:
    """Everything recorded, as subscribers get it."""
    return [orjson.loads(event.json) for event in await instance.recorded()]


async def quarantined(admin: Any) -> list[Any]:
    return list(await admin.fetch("select * from quarantine order by first_seen_at"))


async def test_over_http_every_event_has_its_verdict_in_order(instance: Any, admin: Any) -> None:
    one, two, three = leads(1, 2, 3)
    await by_http(instance, [one])
    bad = {**three, "data": {"phone": "x"}}
    changed = {**one, "data": {**one["data"], "status": "changed"}}
    assert await by_http(instance, [two, bad, one, changed, three, two]) == [
        ("stored", 2), ("refused", "schema"), ("duplicate", 1), ("conflict", 1), ("stored", 3), ("duplicate", 2),
    ]  # fmt: skip
    assert await quarantined(admin) == [], "over HTTP the caller is told instead"


async def test_nothing_to_record_is_no_statement(instance: Any) -> None:
    assert await by_http(instance, []) == []
    assert await by_http(instance, [{}]) == [("refused", "envelope")]
    assert instance.appended == 0


async def test_over_amqp_events_are_recorded_in_the_order_of_the_queue(instance: Any) -> None:
    events = leads(*range(40))
    await by_amqp(
        instance, *(single(event) for event in events[:20]), batch(events[20:30]), batch(events[30:])
    )
    assert [event["id"] for event in await told(instance)] == [event["id"] for event in events]


async def test_what_was_recorded_comes_out_as_it_came_in(instance: Any) -> None:
    event = a_lead_created(clinicunit="paulista", hops=2, correlationid="story", causationid="cause")
    await by_amqp(instance, single(event.as_dict()))
    (out,) = [Event.model_validate(each) for each in await told(instance)]
    assert out.model_copy(update={"sequence": None, "recordedtime": None, "datacontenttype": None}) == event
    assert out.position == 1


async def test_one_bad_event_of_a_batch_is_quarantined_and_the_others_go_in(
    instance: Any, admin: Any
) -> None:
    good, bad, also_good = leads(1, 2, 3)
    bad["data"]["phone"] = "canary"
    await by_amqp(instance, batch([good, bad, also_good]))
    recorded = await told(instance)
    assert [event["type"] for event in recorded] == ["lead.created", "lead.created", "event.quarantined"]
    (entry,) = await quarantined(admin)
    assert (entry["tenant_id"], entry["reason"], entry["pointer"]) == ("clinica-sul", "schema", "/data/phone")
    assert (entry["event_id"], entry["source"], entry["type"]) == (bad["id"], "crm", "lead.created")
    assert recorded[2]["data"] == {
        "event_id": bad["id"], "source": "crm", "type": "lead.created", "pointer": "/data/phone",
        "reason": entry["message"],
    }  # fmt: skip


BAD_MESSAGES = {
    "not JSON": single(b"not json"),
    "invalid UTF-8": single(b'{"id":"\xff"}'),
    "wrong content type": single(b"{}")._replace(content_type="text/plain"),
    "no tenantid": single({"specversion": "1.0", "id": "1", "source": "crm", "type": "lead.created"}),
    "another tenant": single(leads(1, tenantid="clinica-norte")[0]),
    "key and body disagree": single(leads(1)[0], key="clinica-sul.lead.updated"),
    "a type with illegal characters": single({**leads(1)[0], "type": "lead created!"}),
    "a type of a service of ours": single({**leads(1)[0], "type": "automation.action_succeeded"}),
    "data that does not fit": single({**leads(1)[0], "data": {}}),
    "10 MB": single(b"x" * 10_000_000),
    "depth 1,000": single(b'{"data":' * 1_000 + b"1" + b"}" * 1_000),
    "depth 100,000": single(b"[" * 100_000),
    "NUL": single(orjson.dumps({**leads(1)[0], "subject": "lead/\x00"})),
    "NaN": single(orjson.dumps(leads(1)[0]).replace(b'"lead-1"', b"NaN", 1)),
    "half a surrogate pair": single(orjson.dumps(leads(1)[0]).replace(b"lead-1", b"\\ud800", 1)),
    "a key twice": single(orjson.dumps(leads(1)[0]).replace(b'"data":', b'"data":{},"data" :', 1)),
    "a number too large": single({**leads(1)[0], "data": {"lead_id": "1", "x": 2**60}}),
    "a clock a year ahead": single({**leads(1)[0], "time": "2099-01-01T00:00:00Z"}),
    "a clock years behind": single({**leads(1)[0], "time": "0001-01-01T00:00:00+14:00"}),
    "a key full of NULs": single(leads(2)[0], key="clinica-sul.\x00")._replace(user_id=""),
    "a content type with a NUL": single(b"[]")._replace(content_type="a\x00b"),
    "an id with a line feed": single({**leads(1)[0], "id": "a\nb"}),
    "headers of a strange kind": Delivery(
        b"{}", "clinica-sul.x", "", {"ce-specversion": b"\xff", "ce-id": [1]}
    ),
    "an array as one event": single(orjson.dumps(leads(1, 2))),
    "nothing": single(b""),
}


async def test_every_bad_message_is_quarantined_told_and_in_nobodys_way(instance: Any, admin: Any) -> None:
    for number, delivery in enumerate(BAD_MESSAGES.values()):
        await by_amqp(instance, delivery, single(leads(100 + number)[0]))
    entries = await quarantined(admin)
    assert len(entries) == len(BAD_MESSAGES)
    types = [event["type"] for event in await told(instance)]
    assert types.count("lead.created") == len(BAD_MESSAGES), "nothing valid was lost"
    assert types.count("event.quarantined") == len(BAD_MESSAGES), "and every publisher was told"
    assert all(entry["tenant_id"] == "clinica-sul" and len(entry["message"]) > 10 for entry in entries)


async def test_a_conflict_is_quarantined_and_told_once_however_often_it_comes(
    instance: Any, admin: Any
) -> None:
    first = leads(1)[0]
    await by_amqp(instance, single(first))
    changed = {**first, "data": {**first["data"], "status": "changed"}}
    del changed["time"]
    for _ in range(3):
        await by_amqp(instance, single(changed))
        await asyncio.sleep(0.01)
    (entry,) = await quarantined(admin)
    assert (entry["reason"], entry["event_id"], entry["occurrences"]) == ("conflict", first["id"], 3)
    recorded = await told(instance)
    assert [event["type"] for event in recorded] == ["lead.created", "event.quarantined"]
    assert recorded[0]["data"]["status"] == "novo", "what was recorded first stays"


async def test_a_batch_delivered_again_changes_nothing(instance: Any, admin: Any) -> None:
    good, bad = leads(1, 2)
    bad["data"] = {}
    for _ in range(3):
        await by_amqp(instance, batch([good, bad]), single(b"not json"))
    assert len(await told(instance)) == 3
    assert sorted(entry["occurrences"] for entry in await quarantined(admin)) == [3, 3]
    assert await admin.checked_chain() == 3


async def test_what_is_quarantined_is_sealed_and_nobody_reads_it_in_the_table(
    instance: Any, admin: Any
) -> None:
    bad = leads(1, data={"name": "canary", "phone": "canary", "email": "canary"})[0]
    await by_amqp(instance, single(bad), single(orjson.dumps(bad)[:-1]))
    entries = await quarantined(admin)
    assert len(entries) == 2
    assert b"canary" not in b"".join(entry["content"] for entry in entries)
    assert "canary" not in str([{**entry, "content": None} for entry in entries])


async def test_while_the_store_is_away_nothing_is_answered_and_nothing_is_lost(
    instances: Any, ingest_database: Any, admin: Any
) -> None:
    at = urlsplit(ingest_database.worker_url)
    async with FaultProxy(at.hostname or "", at.port or 0) as proxy:
        urls = [
            url.replace(f":{at.port}/", f":{proxy.port}/")
            for url in (ingest_database.worker_url, ingest_database.api_url)
        ]
        instance = await instances(via=urls)
        await by_http(instance, leads(1))
        proxy.cut()
        with pytest.raises(StoreAway):
            await by_http(instance, [{**leads(2)[0], "data": {"lead_id": "lead-2"}}])
        proxy.heal()
        prepared = await instance.recorder.prepare([batch(leads(3, 4))])
        proxy.cut()
        with pytest.raises(StoreAway):
            await instance.recorder.commit(prepared)
        proxy.heal()
        await by_amqp(instance, batch(leads(3, 4)))
        assert await by_http(instance, leads(2, 1)) == [("stored", 4), ("duplicate", 1)]
    assert await admin.checked_chain() == 4


async def test_an_answer_that_was_lost_is_found_again_as_a_duplicate(
    instances: Any, ingest_database: Any, admin: Any, row: Any
) -> None:
    at = urlsplit(ingest_database.worker_url)
    async with FaultProxy(at.hostname or "", at.port or 0) as proxy:
        urls = [
            url.replace(f":{at.port}/", f":{proxy.port}/")
            for url in (ingest_database.worker_url, ingest_database.api_url)
        ]
        instance = await instances(via=urls)
        await instance.log.append([row("warm")])
        proxy.half_open("server to client")
        call = asyncio.create_task(instance.log.append([row("a")]))
        async with asyncio.timeout(5):
            while await admin.value("select last_position from log_head") < 2:
                await asyncio.sleep(0.02)
        proxy.reset()
        proxy.heal()
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await call
        assert [tuple(answer)[:2] for answer in await instance.log.append([row("a")])] == [("duplicate", 2)]


async def test_callers_at_the_same_time_share_statements_and_get_their_own_answers(
    instance: Any, admin: Any, row: Any
) -> None:
    calls = [
        instance.appender.append([Ready(row(f"{n}-{m}"), b"{}", None) for m in range(3)]) for n in range(50)
    ]
    answers = await asyncio.gather(*calls)
    rows = await admin.fetch("select event_id, position from automation_events")
    places = {each["event_id"]: each["position"] for each in rows}
    for number, three in enumerate(answers):
        assert [answer.position for answer in three] == [places[f"{number}-{m}"] for m in range(3)]
    assert await admin.value("select count(*) from log_blocks") <= 4
    assert instance.appended <= 4
    assert [event.position for event in instance.tail.after(0, 1_000)] == list(range(1, 151))


async def test_one_callers_impossible_event_fails_nobody_else(instance: Any, admin: Any, row: Any) -> None:
    impossible = [Ready(row("bad", hops=99), b"{}", None)]
    good = [[Ready(row(f"good-{number}"), b"{}", None)] for number in range(4)]
    calls = [instance.appender.append(events) for events in [*good[:2], impossible, *good[2:]]]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[2], asyncpg.CheckViolationError)
    assert [answers[0].status for answers in results[:2] + results[3:]] == ["stored"] * 4
    assert await admin.checked_chain() == 4


async def test_more_than_can_be_taken_in_is_told_to_wait(
    instance: Any, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "MOST_WAITING", 10)
    calls = [
        instance.appender.append([Ready(row(f"{n}-{m}"), b"{}", None) for m in range(5)]) for n in range(6)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {list, RetryLater}
    assert results[0][0].status == "stored"


async def test_a_caller_who_leaves_takes_nobody_along(instance: Any, row: Any) -> None:
    calls = [
        asyncio.create_task(instance.appender.append([Ready(row(str(n)), b"{}", None)])) for n in range(5)
    ]
    await asyncio.sleep(0)
    calls[1].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert [answers[0].status for index, answers in enumerate(results) if index != 1] == ["stored"] * 4

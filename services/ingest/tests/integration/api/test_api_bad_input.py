"""Every way to say something wrong over HTTP: which field, what was expected, what to do. The service stays up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from nexus_shared.access.principal import Scope
from nexus_shared.envelope import BATCH
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.integration

MARK = "@@"


def an_event(clinic: Any, **changes: Any) -> dict[str, Any]:
    """`changes` replace attributes of a good event; None takes one away."""
    event = a_lead_created().as_dict() | {"tenantid": clinic.tenant_id} | changes
    return {name: value for name, value in event.items() if value is not None}


def with_text(clinic: Any, json_text: bytes) -> bytes:
    """A good event in whose data one value is this very text."""
    event = an_event(clinic)
    event["data"]["interest_text"] = MARK
    return orjson.dumps(event).replace(f'"{MARK}"'.encode(), json_text)


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = {"a": value}
    return value


async def refused(clinic: Any, content: bytes, status: int = 422) -> dict[str, Any]:
    """The problem; afterwards the service takes a good event as ever."""
    answer = await clinic.publish_raw(content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    (result,) = await clinic.publish(a_lead_created(id="afterwards"))
    assert result["status"] in ("stored", "duplicate")
    problem: dict[str, Any] = answer.json()
    return problem


@pytest.mark.parametrize(
    ("changes", "pointer", "expected"),
    [
        ({"tenantid": None}, "/tenantid", "slug"),
        ({"id": None}, "/id", "200 printable characters"),
        ({"source": ""}, "/source", "200 printable characters"),
        ({"specversion": "0.3"}, "/specversion", '"1.0"'),
        ({"type": "Lead.Created"}, "/type", "lower-case letters"),
        ({"type": "lead.created; drop table"}, "/type", "lower-case letters"),
        ({"tenantid": "Clínica Sul"}, "/tenantid", "slug"),
        ({"tenantid": "clinica-norte"}, "/tenantid", "send tenantid"),
        ({"subject": "lead/\x07"}, "/subject", "printable"),
        ({"time": "ontem"}, "/time", "2026-11-23T09:00:00-03:00"),
        ({"time": "2026-11-23T09:00:00"}, "/time", "offset"),
        (
            {"time": (datetime.now(UTC) + timedelta(days=365)).isoformat()},
            "/time",
            "set the publisher's clock",
        ),
        ({"time": (datetime.now(UTC) - timedelta(days=365)).isoformat()}, "/time", "events:backfill"),
        ({"hops": 99}, "/hops", "0 to 32"),
        ({"data": ["a"]}, "/data", "JSON object"),
        ({"data": {"lead_id": 17}}, "/data/lead_id", "text"),
        ({"data": {}}, "/data/lead_id", "it is missing. Add it"),
        ({"type": "automation.trigger_fired"}, "/type", "published by trigger-processor only"),
        ({"type": "tenant.configured"}, "/type", "published by ingest only"),
        ({"data": nested(100)}, "", "flatten"),
        ({"data": {f"k{n}": n for n in range(3000)}}, "", "at most 2000 keys"),
        ({"datacontenttype": "text/plain"}, "/datacontenttype", "application/json"),
    ],
)
async def test_an_unfit_event_is_refused_with_the_place_and_what_to_do(
    clinic: Any, changes: dict[str, Any], pointer: str, expected: str
) -> None:
    problem = await refused(clinic, orjson.dumps(an_event(clinic, **changes)))

    assert problem["title"] == "The request is not valid"
    (error, *_) = problem["errors"]
    assert error["pointer"] == pointer
    assert expected in error["message"]


@pytest.mark.parametrize(
    ("json_text", "expected"),
    [
        (b'"a\\u0000b"', "NUL"),
        (b'"\\ud800"', "surrogate"),
        (b"NaN", "not JSON; leave the value out"),
        (b"Infinity", "not JSON; leave the value out"),
        (b"1e999", "beyond"),
        (b"123456789012345678901234567890", "beyond"),
        (b'{"a": 1, "a": 2}', "stands twice"),
    ],
)
async def test_a_value_that_no_store_can_keep_is_refused_at_its_place(
    clinic: Any, json_text: bytes, expected: str
) -> None:
    problem = await refused(clinic, with_text(clinic, json_text))

    assert problem["errors"][0]["pointer"] == "/data/interest_text"
    assert expected in problem["errors"][0]["message"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "Line 1"),
        (b"{not json", "Line 1, column 2"),
        (b'{"id": "\xff\xfe"}', "not valid UTF-8"),
    ],
)
async def test_bytes_that_are_no_json_are_told_where(clinic: Any, content: bytes, expected: str) -> None:
    problem = await refused(clinic, content)

    assert problem["type"] == "urn:nexus:problem:not-json"
    assert expected in problem["detail"]


@pytest.mark.parametrize("depth", [1_000, 28_000])
async def test_a_depth_that_no_parser_takes_is_refused(clinic: Any, depth: int) -> None:
    problem = await refused(clinic, with_text(clinic, b'{"a":' * depth + b"1" + b"}" * depth))

    assert "flatten" in problem["detail"]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "application/xml"])
async def test_another_content_type_is_told_which_are_taken(clinic: Any, content_type: str) -> None:
    answer = await clinic.publish_raw(orjson.dumps(an_event(clinic)), content_type)

    assert answer.status_code == 415
    assert "application/cloudevents+json" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("size", "limit"), [(300_000, "262144"), (3_000_000, "262144"), (10_000_000, "4194304")]
)
async def test_an_event_too_large_is_told_the_limit(clinic: Any, size: int, limit: str) -> None:
    problem = await refused(clinic, orjson.dumps(an_event(clinic, data={"lead_id": "x" * size})), 413)

    assert problem["type"] == "urn:nexus:problem:too-large"
    assert limit in problem["detail"]


async def test_an_event_in_binary_mode_is_taken(clinic: Any) -> None:
    event = an_event(clinic)
    headers = {
        f"ce-{name}": str(event[name]) for name in ("specversion", "id", "source", "type", "tenantid", "time")
    }

    answer = await clinic.http.post("/v1/events", json=event["data"], headers=headers)

    assert answer.status_code == 202
    assert (await clinic.get(f"/v1/events/{event['id']}"))["event"]["data"] == event["data"]


async def test_one_bad_event_does_not_keep_the_others_of_its_batch_out(clinic: Any) -> None:
    batch = [
        an_event(clinic, id="good-1"),
        an_event(clinic, id="bad", data={"lead_id": 17}),
        an_event(clinic, id="good-2"),
        an_event(clinic, id="good-1"),
        an_event(clinic, id="good-1", data={"lead_id": "another"}, subject=None),
    ]

    answer = await clinic.publish_raw(orjson.dumps(batch), BATCH)

    results = answer.json()["results"]
    assert answer.status_code == 202
    assert [result["status"] for result in results] == [
        "stored",
        "invalid",
        "stored",
        "duplicate",
        "conflict",
    ]
    assert results[1]["errors"][0]["pointer"] == "/data/lead_id"
    assert results[4]["position"] == results[0]["position"]
    assert len((await clinic.get("/v1/events"))["items"]) == 2


@pytest.mark.parametrize(
    ("batch", "status", "expected"),
    [({"id": "1"}, 422, "JSON array"), ([{"id": str(n)} for n in range(501)], 413, "at most 500")],
)
async def test_a_batch_that_is_none_or_too_long_is_refused_whole(
    clinic: Any, batch: Any, status: int, expected: str
) -> None:
    answer = await clinic.publish_raw(orjson.dumps(batch), BATCH)

    assert answer.status_code == status
    assert expected in answer.text


async def test_an_id_that_comes_back_with_other_content_keeps_what_was_recorded_first(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="e-1", number=1))
    (result,) = await clinic.publish(a_lead_created(id="e-1", number=2))

    assert result["status"] == "conflict"
    assert (await clinic.get("/v1/events/e-1"))["event"]["subject"] == "lead/lead-1"


async def test_a_key_with_the_right_may_import_history(ingest: Any) -> None:
    importer = ingest.clinic(Scope.EVENTS_WRITE, Scope.EVENTS_BACKFILL)
    last_year = datetime.now(UTC) - timedelta(days=365)

    (result,) = await importer.publish(a_lead_created(time=last_year))

    assert result["status"] == "stored"


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer nonsense", "Basic dXNlcjpwYXNz", "Bearer a.b.c"]
)
async def test_nobody_without_a_key_gets_in_and_all_get_the_same_answer(
    ingest: Any, authorization: str | None
) -> None:
    clinic = ingest.clinic()
    clinic.http.headers.pop("authorization")
    headers = {"authorization": authorization} if authorization else {}

    answer = await clinic.http.get("/v1/events", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["detail"] == "Send a valid API key: Authorization: Bearer …"


async def test_a_key_that_has_expired_is_refused(ingest: Any) -> None:
    old = ingest.clinic(token=ingest.token("clinica-sul", Scope.EVENTS_READ, days=-1))

    await old.get("/v1/events", 401)

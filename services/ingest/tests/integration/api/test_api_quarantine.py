"""What came in unfit by the broker: kept with its reason, corrected and recorded, or discarded; once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from nexus_shared.access.principal import Scope
from nexus_shared.envelope import STRUCTURED
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


def an_event(clinic: Any, **changes: Any) -> dict[str, Any]:
    return a_lead_created(id="e-1").as_dict() | {"tenantid": clinic.tenant_id} | changes


@pytest.fixture
def clinic(ingest: Any) -> Any:
    """A clinic whose system publishes by the broker."""
    return ingest.publishing_clinic()


@pytest.fixture
def quarantined(eventually: Eventually) -> Any:
    """Publishes content by the broker and waits for its entry."""

    async def publish(clinic: Any, content: bytes, content_type: str = STRUCTURED) -> dict[str, Any]:
        known = {entry["quarantine_id"] for entry in await entries(clinic)}
        await clinic.publish_by_broker(content, f"{clinic.tenant_id}.lead.created", content_type)

        async def has_come() -> bool:
            return len(await entries(clinic)) > len(known)

        await eventually(has_come)
        (new,) = [entry for entry in await entries(clinic) if entry["quarantine_id"] not in known]
        return new

    return publish


async def entries(clinic: Any, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await clinic.get("/v1/quarantine", **filters))["items"]
    return found


async def test_an_unfit_event_is_listed_shown_and_told_as_a_fact(clinic: Any, quarantined: Any) -> None:
    unfit = an_event(clinic, data={"lead_id": "L-1", "phone": "11 91234-5678", "name": "Ana"})

    entry = await quarantined(clinic, orjson.dumps(unfit))
    shown = await clinic.get(f"/v1/quarantine/{entry['quarantine_id']}")

    assert (entry["reason"], entry["pointer"], entry["status"]) == ("schema", "/data/phone", "open")
    assert "+5511912345678" in entry["message"]
    assert (entry["event_id"], entry["source"], entry["type"]) == ("e-1", "crm", "lead.created")
    assert entry["publisher"] == f"pub.{clinic.tenant_id}.crm"
    assert shown["event"] == unfit
    assert shown["is_complete"] is True
    (fact,) = await clinic.facts("event.quarantined")
    assert fact["data"]["event_id"] == "e-1"


async def test_the_corrected_event_is_recorded_and_the_entry_settled_once(
    clinic: Any, quarantined: Any
) -> None:
    entry = await quarantined(clinic, orjson.dumps(an_event(clinic, data={"lead_id": 1})))
    path = f"/v1/quarantine/{entry['quarantine_id']}"

    answer = await clinic.ask("POST", f"{path}/record", json=an_event(clinic))
    again = await clinic.ask("POST", f"{path}/record", 409, json=an_event(clinic))

    assert answer["results"][0]["status"] == "stored"
    assert (await clinic.get("/v1/events/e-1"))["event"]["data"] == a_lead_created().data
    assert again["type"] == "urn:nexus:problem:quarantine-entry-settled"
    settled = await clinic.get(path)
    assert (settled["status"], settled["resolved_by"], settled["resolution"]) == (
        "recorded",
        "test",
        "corrected",
    )
    assert await entries(clinic, status="open") == []
    assert len(await entries(clinic, status="recorded")) == 1


async def test_a_correction_that_does_not_fit_leaves_the_entry_open(clinic: Any, quarantined: Any) -> None:
    entry = await quarantined(clinic, orjson.dumps(an_event(clinic, data={"lead_id": 1})))
    path = f"/v1/quarantine/{entry['quarantine_id']}"

    as_it_came = await clinic.ask("POST", f"{path}/record", 422)
    wrong_tenant = await clinic.ask("POST", f"{path}/record", 422, json=an_event(clinic, tenantid="another"))
    no_json = await clinic.ask("POST", f"{path}/record", 422, content=b"{")

    assert as_it_came["errors"][0]["pointer"] == "/data/lead_id"
    assert wrong_tenant["errors"][0]["pointer"] == "/tenantid"
    assert no_json["type"] == "urn:nexus:problem:not-json"
    assert (await clinic.get(path))["status"] == "open"


async def test_a_correction_under_an_id_that_is_taken_is_told_to_take_another(
    clinic: Any, quarantined: Any
) -> None:
    await clinic.publish(a_lead_created(id="e-1", number=2))
    entry = await quarantined(clinic, orjson.dumps(an_event(clinic)))
    path = f"/v1/quarantine/{entry['quarantine_id']}"

    problem = await clinic.ask("POST", f"{path}/record", 409)
    answer = await clinic.ask("POST", f"{path}/record", json=an_event(clinic, id="e-2"))

    assert entry["reason"] == "conflict"
    assert problem["type"] == "urn:nexus:problem:recorded-otherwise"
    assert answer["results"][0]["status"] == "stored"


async def test_an_event_sent_with_the_wrong_content_type_is_recorded_as_it_came(
    clinic: Any, quarantined: Any
) -> None:
    entry = await quarantined(clinic, orjson.dumps(an_event(clinic)), "text/plain")

    answer = await clinic.ask("POST", f"/v1/quarantine/{entry['quarantine_id']}/record")

    assert entry["reason"] == "content-type"
    assert answer["results"][0]["status"] == "stored"


async def test_a_batch_is_recorded_only_when_all_of_it_fits(clinic: Any, quarantined: Any) -> None:
    batch = [an_event(clinic, id="b-1"), an_event(clinic, id="b-2", data={"lead_id": 2})]
    entry = await quarantined(clinic, orjson.dumps(batch), "text/plain")
    path = f"/v1/quarantine/{entry['quarantine_id']}/record"

    problem = await clinic.ask("POST", path, 422)
    answer = await clinic.ask("POST", path, json=[an_event(clinic, id="b-1"), an_event(clinic, id="b-2")])

    assert problem["errors"][0]["pointer"] == "/1/data/lead_id"
    assert [result["status"] for result in answer["results"]] == ["duplicate", "stored"]


async def test_what_was_not_kept_whole_needs_the_whole_event_as_body(clinic: Any, quarantined: Any) -> None:
    large = an_event(clinic, data={"lead_id": "x" * 300_000})
    entry = await quarantined(clinic, orjson.dumps(large))
    path = f"/v1/quarantine/{entry['quarantine_id']}"

    shown = await clinic.get(path)
    problem = await clinic.ask("POST", f"{path}/record", 409)
    await clinic.ask("POST", f"{path}/record", json=an_event(clinic))

    assert (entry["reason"], entry["content_size"]) == ("too-large", len(orjson.dumps(large)))
    assert (shown["is_complete"], len(shown["text"]), shown["event"]) == (False, 65536, None)
    assert problem["type"] == "urn:nexus:problem:content-incomplete"


async def test_of_two_who_record_at_once_one_comes_too_late(clinic: Any, quarantined: Any) -> None:
    entry = await quarantined(clinic, orjson.dumps(an_event(clinic, data={"lead_id": 1})))
    path = f"/v1/quarantine/{entry['quarantine_id']}/record"

    answers = await asyncio.gather(
        *(clinic.http.post(path, json=an_event(clinic, id=f"corrected-{n}")) for n in range(4))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert len(await clinic.facts("lead.created")) == 1


async def test_an_entry_is_discarded_with_a_reason_and_stays_listed(clinic: Any, quarantined: Any) -> None:
    entry = await quarantined(clinic, b"\xff\xfe")
    path = f"/v1/quarantine/{entry['quarantine_id']}"

    no_reason = await clinic.ask("POST", f"{path}/discard", 422, json={"reason": ""})
    await clinic.ask("POST", f"{path}/discard", 204, json={"reason": "Teste do fornecedor"})
    await clinic.ask("POST", f"{path}/discard", 409, json={"reason": "Teste do fornecedor"})

    assert no_reason["errors"][0]["pointer"] == "/reason"
    (discarded,) = await entries(clinic, status="discarded")
    assert (discarded["reason"], discarded["resolution"]) == ("not-json", "Teste do fornecedor")


async def test_the_same_unfit_event_again_only_counts_up(
    clinic: Any, quarantined: Any, eventually: Eventually
) -> None:
    unfit = orjson.dumps(an_event(clinic, data={"lead_id": 1}))
    entry = await quarantined(clinic, unfit)
    await clinic.publish_by_broker(unfit, f"{clinic.tenant_id}.lead.created")

    async def counted_up() -> bool:
        return [each["occurrences"] for each in await entries(clinic)] == [2]

    await eventually(counted_up)
    assert len(await clinic.facts("event.quarantined")) == 1
    assert (await entries(clinic))[0]["quarantine_id"] == entry["quarantine_id"]


async def test_pages_of_the_quarantine_follow_each_other(clinic: Any, quarantined: Any) -> None:
    made = [await quarantined(clinic, orjson.dumps({"n": number})) for number in range(3)]

    first = await clinic.get("/v1/quarantine", limit=2)
    rest = await clinic.get("/v1/quarantine", limit=2, cursor=first["next_cursor"])

    listed = [entry["quarantine_id"] for entry in [*first["items"], *rest["items"]]]
    assert listed == [entry["quarantine_id"] for entry in reversed(made)]
    assert rest["next_cursor"] is None


async def test_another_clinic_finds_nothing_of_it(clinic: Any, ingest: Any, quarantined: Any) -> None:
    entry = await quarantined(clinic, orjson.dumps(an_event(clinic, data={"lead_id": 1})))
    other, path = ingest.clinic(), f"/v1/quarantine/{entry['quarantine_id']}"

    assert await entries(other) == []
    await other.get(path, 404)
    await other.ask("POST", f"{path}/record", 404, json=an_event(other))
    await other.ask("POST", f"{path}/discard", 404, json={"reason": "not mine"})
    assert (await clinic.get(path))["status"] == "open"


async def test_what_a_service_said_wrong_is_the_platforms_to_mend(
    ingest: Any, clinic: Any, eventually: Eventually
) -> None:
    platform = ingest.platform()
    fact = an_event(clinic, type="ai.no_show_predicted", subject="appointment/A-1", source="ai-service")
    known = len(await entries(platform))
    wrong = fact | {"data": {"appointment_id": "A-1", "probability": 2}}
    await ingest.publish_by_service("ai-service", orjson.dumps([wrong]))

    async def has_come() -> bool:
        return len(await entries(platform)) > known

    await eventually(has_come)
    entry = (await entries(platform))[0]
    corrected = fact | {"data": {"appointment_id": "A-1", "probability": 0.2}}
    answer = await platform.ask("POST", f"/v1/quarantine/{entry['quarantine_id']}/record", json=corrected)

    assert (entry["publisher"], entry["type"]) == ("svc.ai-service", fact["type"])
    assert answer["results"][0]["status"] == "stored"
    assert (await clinic.get("/v1/events/e-1"))["event"]["type"] == fact["type"]


async def test_who_may_only_read_cannot_settle(ingest: Any) -> None:
    reader = ingest.clinic(Scope.QUARANTINE_READ)

    await reader.ask("POST", f"/v1/quarantine/{uuid4()}/discard", 403, json={"reason": "not mine"})
    await reader.get(f"/v1/quarantine/{UUID(int=0)}", 404)
    await reader.get("/v1/quarantine/not-an-id", 422)

"""A person asks to be forgotten: the keys are destroyed, the log stays whole."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_shared.testing.builders import a_lead_created, a_lead_status_changed, a_payment_overdue

pytestmark = pytest.mark.integration

LEAD = {"person": "lead/lead-1", "reason": "Pedido do titular, protocolo 88"}


async def erase(clinic: Any, status: int = 200, **changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await clinic.ask("POST", "/v1/events/erasures", status, json=LEAD | changes)
    return answer


async def test_an_erased_persons_events_are_shown_without_the_erased_part(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="mine"), a_lead_created(id="other", number=2))

    await erase(clinic)

    mine, other = await clinic.get("/v1/events/mine"), await clinic.get("/v1/events/other")
    assert mine["erased"] is True
    assert mine["event"]["data"]["lead_id"] == "lead-1"
    assert mine["event"]["data"].keys().isdisjoint({"name", "phone", "email", "message_first"})
    assert other["erased"] is False
    assert other["event"]["data"] == a_lead_created(number=2).data
    listed = (await clinic.get("/v1/events", type="lead.*"))["items"]
    assert [item["erased"] for item in listed] == [False, True]


async def test_the_fact_says_who_and_when_to_those_who_may_read_it_only(clinic: Any) -> None:
    await clinic.publish(a_lead_created())

    answer = await erase(clinic)

    (fact,) = await clinic.facts("contact.erased")
    assert (fact["data"]["person"], fact["data"]["reason"]) == ("lead/lead-1", LEAD["reason"])
    assert fact["data"]["requested_by"] == "test"
    assert int(fact["sequence"]) == answer["position"]
    hidden = await clinic.get("/v1/events", type="contact.erased", reveal="false")
    assert hidden["items"][0]["event"]["data"].keys() == {"request_id", "executed_at"}
    assert "subject" not in fact


async def test_asking_again_is_the_same(clinic: Any) -> None:
    await clinic.publish(a_lead_created(), a_lead_status_changed())

    first = await erase(clinic)
    second = await erase(clinic, reason="Outro protocolo")

    assert second == first
    assert len(await clinic.facts("contact.erased")) == 1


async def test_what_comes_later_can_be_read_and_erased_again(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="before"))
    await erase(clinic)
    await clinic.publish(a_lead_created(id="after"))

    readable = await clinic.get("/v1/events/after")
    await erase(clinic)
    gone = await clinic.get("/v1/events/after")

    assert (readable["erased"], readable["event"]["data"]) == (False, a_lead_created().data)
    assert gone["erased"] is True
    assert len(await clinic.facts("contact.erased")) == 2


async def test_an_erased_event_is_not_processed_again(clinic: Any) -> None:
    await clinic.publish(a_lead_created(id="mine"))
    await erase(clinic)

    problem = await clinic.ask("POST", "/v1/events/mine/process", 409)

    assert problem["type"] == "urn:nexus:problem:event-erased"


async def test_a_person_nobody_knows_is_not_found(clinic: Any, ingest: Any) -> None:
    await clinic.publish(a_lead_created(), a_payment_overdue())

    problem = await erase(clinic, 404, person="lead/lead-99")
    await erase(ingest.clinic(), 404)

    assert "patient/P-17" in problem["detail"]
    assert all(not item["erased"] for item in (await clinic.get("/v1/events"))["items"])


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [({"person": "Ana Souza"}, "/person"), ({"person": "lead/"}, "/person"), ({"reason": ""}, "/reason")],
)
async def test_a_request_that_names_nobody_is_refused(
    clinic: Any, changes: dict[str, str], pointer: str
) -> None:
    problem = await erase(clinic, 422, **changes)

    assert problem["errors"][0]["pointer"] == pointer

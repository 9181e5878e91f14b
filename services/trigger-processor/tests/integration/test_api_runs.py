"""Runs and decisions over HTTP: lists, traces, cancelling, redriving."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nexus_shared.access.principal import Scope
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.integration

MASK = "•••"


def a_lead(number: int = 1, **data: Any) -> Any:
    return a_lead_created(number=number, data={"source": "ads", **data})


async def a_run(processor: Any, client: Any, *, actions: list[Any] | None = None, **behaviour: Any) -> str:
    """The id of a run whose webhooks were tried once."""
    processor.receiver.behave(**behaviour)
    actions = actions or [processor.action("avisar")]
    await processor.publish(client, processor.definition(actions=actions))
    await processor.deliver(a_lead())
    await processor.send(len(actions))
    return str((await client.get("/v1/runs")).json()["items"][0]["id"])


async def test_a_run_shows_its_trigger_event_and_actions(processor: Any) -> None:
    client = await processor.client()
    run_id = await a_run(processor, client, body="recebido")
    run = (await client.get(f"/v1/runs/{run_id}")).json()
    assert (run["status"], run["open_actions"], run["failed_actions"]) == ("succeeded", 0, 0)
    assert (run["trigger"]["name"], run["trigger"]["version"]) == ("Leads de anúncios", 1)
    assert (run["event"]["id"], run["event"]["subject"]) == (a_lead().id, "lead/lead-1")
    action = run["actions"][0]
    assert (action["key"], action["target"], action["status"]) == ("avisar", "127.0.0.1", "succeeded")
    assert (action["attempts"], action["next_attempt_at"], action["in_flight"]) == (1, None, False)
    assert processor.receiver.deliveries[0].headers["webhook-id"] == action["id"]


async def test_a_trace_shows_both_values_of_the_failing_clause_and_masks_personal_ones(
    processor: Any,
) -> None:
    client = await processor.client()
    rules = [
        {"field": "data.name", "operator": "=", "value": "Maria"},
        {"field": "data.status", "operator": "=", "value": "perdido"},
        {"field": "data.source", "operator": "=", "value": "ads"},
    ]
    definition = processor.definition(conditions={"combinator": "or", "rules": rules})
    await processor.publish(client, definition)
    await processor.deliver(a_lead(name="João Pedro Gonçalves"))
    run_id = (await client.get("/v1/runs")).json()["items"][0]["id"]
    masked = (await client.get(f"/v1/runs/{run_id}/trace")).json()["decision"]
    revealed = (await client.get(f"/v1/runs/{run_id}/trace", params={"reveal": True})).json()["decision"]
    name, status, source = masked["explanation"]["conditions"]["rules"]
    assert (name["passed"], name["expected"], name["actual"]) == (False, "Maria", MASK)
    assert (status["passed"], status["expected"], status["actual"]) == (False, "perdido", "novo")
    assert (source["passed"], source["actual"]) == (True, "ads")
    assert masked["sentence"] == {
        "pt-BR": "Disparou: as condições foram atendidas.",
        "en": "Fired: the conditions were met.",
    }
    assert revealed["explanation"]["conditions"]["rules"][0]["actual"] == "João Pedro Gonçalves"
    assert "Gonçalves" not in (await client.get(f"/v1/runs/{run_id}/trace")).text


async def test_a_trace_shows_every_attempt_and_reveals_answers_only_to_those_who_may(processor: Any) -> None:
    client = await processor.client()
    run_id = await a_run(processor, client, status=503, body="volte mais tarde")
    path = f"/v1/runs/{run_id}/trace"
    masked = (await client.get(path)).json()["actions"][0]
    revealed = (await client.get(path, params={"reveal": True})).json()["actions"][0]
    viewer = await processor.client(Scope.RUNS_READ)
    assert (await viewer.get(path)).status_code == 200
    assert (await viewer.get(path, params={"reveal": True})).status_code == 403
    assert (masked["status"], masked["error_class"]) == ("retrying", "http_503")
    assert masked["next_attempt_at"] is not None
    attempt = masked["tries"][0]
    assert (attempt["attempt"], attempt["outcome"], attempt["code"]) == (1, "failed_retryable", "http_503")
    assert attempt["http_status"] == 503 and attempt["latency_ms"] >= 0
    assert attempt["started_at"] <= attempt["finished_at"]
    assert (attempt["response"], revealed["tries"][0]["response"]) == (MASK, "volte mais tarde")


async def test_runs_are_narrowed_by_trigger_status_event_subject_and_time(processor: Any) -> None:
    client = await processor.client()
    first = await processor.publish(client, processor.definition(name="A"))
    await processor.publish(client, processor.definition(name="B"))
    await processor.deliver(a_lead(1))
    between = await processor.fetchval("select clock_timestamp()")
    await processor.deliver(a_lead(2))

    async def found(**filters: Any) -> list[tuple[str, str]]:
        items = (await client.get("/v1/runs", params=filters)).json()["items"]
        return sorted((item["trigger"]["name"], item["event"]["subject"]) for item in items)

    one, two = "lead/lead-1", "lead/lead-2"
    assert await found() == [("A", one), ("A", two), ("B", one), ("B", two)]
    assert await found(trigger_id=first["id"]) == [("A", one), ("A", two)]
    assert await found(event_id=a_lead(2).id) == [("A", two), ("B", two)]
    assert await found(event_id=a_lead(2).id, source="erp") == []
    assert await found(subject=one) == [("A", one), ("B", one)]
    assert await found(since=between.isoformat()) == [("A", two), ("B", two)]
    assert await found(until=between.isoformat()) == [("A", one), ("B", one)]
    assert await found(status=["failed", "partial"]) == []
    assert await found(status=["running", "failed"], subject=two) == [("A", two), ("B", two)]


async def test_pages_of_runs_and_decisions_neither_repeat_nor_skip(processor: Any) -> None:
    client = await processor.client()
    for name in "AB":
        await processor.publish(client, processor.definition(name=name))
    await processor.deliver(*[a_lead(number) for number in range(1, 4)])
    for path in ("/v1/runs", "/v1/decisions"):
        everything = (await client.get(path)).json()["items"]
        pages: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            params = {"limit": 4, **({"cursor": cursor} if cursor else {})}
            page = (await client.get(path, params=params)).json()
            pages += page["items"]
            cursor = page["next_cursor"]
        assert len(everything) == 6
        assert pages == everything


async def test_why_a_patient_did_not_get_it_is_one_look_up(processor: Any) -> None:
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    event = a_lead(1, source="site")
    await processor.deliver(event, a_lead(2))
    answer = await client.get("/v1/decisions", params={"event_id": event.id, "source": event.source})
    decision = answer.json()["items"][0]
    assert len(answer.json()["items"]) == 1
    assert (decision["outcome"], decision["reason"], decision["run_id"]) == ("not_matched", "condition", None)
    assert decision["sentence"] == {
        "pt-BR": 'Não disparou: \'origem\' era "site", esperado "ads".',
        "en": 'Did not fire: \'source\' was "site", expected "ads".',
    }
    failure = decision["explanation"]["failure"]
    assert (failure["pointer"], failure["expected"], failure["actual"]) == (
        "/conditions/rules/0",
        "ads",
        "site",
    )
    fired = await client.get("/v1/decisions", params={"trigger_id": trigger["id"], "outcome": "fired"})
    assert [item["subject"] for item in fired.json()["items"]] == ["lead/lead-2"]


async def test_a_negated_condition_is_blamed_in_the_right_words(processor: Any) -> None:
    client = await processor.client()
    rules = [{"field": "data.phone", "operator": "=", "value": "+5511999990000"}]
    definition = processor.definition(conditions={"combinator": "and", "not": True, "rules": rules})
    await processor.publish(client, definition)
    await processor.deliver(a_lead(phone="+5511999990000"))
    decision = (await client.get("/v1/decisions")).json()["items"][0]
    assert decision["sentence"]["pt-BR"] == (
        "Não disparou: 'telefone' era •••, e a condição exclui \"+5511999990000\"."
    )


async def test_a_failed_run_is_sent_again_under_the_same_id(processor: Any) -> None:
    client = await processor.client()
    run_id = await a_run(processor, client, status=410)
    before = (await client.get(f"/v1/runs/{run_id}")).json()
    processor.receiver.behave(status=200)
    answer = (await client.post(f"/v1/runs/{run_id}/redrive")).json()
    await processor.send(2)
    after = (await client.get(f"/v1/runs/{run_id}/trace")).json()
    assert (before["status"], before["failed_actions"]) == ("failed", 1)
    assert (answer["run"]["status"], answer["run"]["open_actions"]) == ("running", 1)
    fate = answer["actions"][0]
    assert (fate["key"], fate["fate"], fate["webhook_id"]) == ("avisar", "queued", fate["action_id"])
    assert "webhook-id" in answer["note"]
    assert {each.headers["webhook-id"] for each in processor.receiver.deliveries} == {fate["webhook_id"]}
    assert (after["status"], after["open_actions"], after["failed_actions"]) == ("succeeded", 0, 0)
    assert [each["attempt"] for each in after["actions"][0]["tries"]] == [1, 2]
    assert [each["code"] for each in after["actions"][0]["tries"]] == ["http_410", "http_200"]


async def test_a_double_click_sends_once(processor: Any) -> None:
    client = await processor.client()
    run_id = await a_run(processor, client, status=410)
    processor.receiver.behave(status=200)
    clicks = await asyncio.gather(*[client.post(f"/v1/runs/{run_id}/redrive") for _ in range(3)])
    fates = sorted(click.json()["actions"][0]["fate"] for click in clicks)
    await processor.send(2)
    await processor.job("sending").once()
    late = await client.post(f"/v1/runs/{run_id}/redrive")
    assert fates == ["already_queued", "already_queued", "queued"]
    assert len(processor.receiver.deliveries) == 2
    assert (late.status_code, late.json()["type"]) == (409, "urn:nexus:problem:nothing-to-redrive")


async def test_of_a_partial_run_only_what_failed_is_sent_again(processor: Any) -> None:
    client = await processor.client()
    processor.receiver.behave("/ruim", status=410)
    actions = [processor.action("bom", "/bom"), processor.action("ruim", "/ruim")]
    run_id = await a_run(processor, client, actions=actions)
    assert (await client.get(f"/v1/runs/{run_id}")).json()["status"] == "partial"
    answer = (await client.post(f"/v1/runs/{run_id}/redrive")).json()
    await processor.send(3)
    assert {each["key"]: each["fate"] for each in answer["actions"]} == {"bom": "untouched", "ruim": "queued"}
    assert sorted(each.path for each in processor.receiver.deliveries) == ["/bom", "/ruim", "/ruim"]
    run = (await client.get(f"/v1/runs/{run_id}")).json()
    assert (run["status"], run["open_actions"], run["failed_actions"]) == ("partial", 0, 1)


async def test_an_unknown_outcome_can_be_sent_again(processor: Any) -> None:
    client = await processor.client()
    action = {**processor.action("avisar"), "max_attempts": 1}
    run_id = await a_run(processor, client, actions=[action], close="before")
    run = (await client.get(f"/v1/runs/{run_id}")).json()
    processor.receiver.behave(status=200)
    answer = await client.post(f"/v1/runs/{run_id}/redrive")
    await processor.send(2)
    assert (run["status"], run["actions"][0]["status"]) == ("failed", "unknown")
    assert answer.json()["actions"][0]["fate"] == "queued"
    assert (await client.get(f"/v1/runs/{run_id}")).json()["status"] == "succeeded"


async def test_what_runs_for_the_first_time_is_not_redriven(processor: Any) -> None:
    client = await processor.client()
    await processor.publish(client, processor.definition())
    await processor.deliver(a_lead())
    run_id = (await client.get("/v1/runs")).json()["items"][0]["id"]
    assert (await client.post(f"/v1/runs/{run_id}/redrive")).status_code == 409


async def test_cancelling_takes_back_what_waits_for_its_next_attempt(processor: Any) -> None:
    client = await processor.client()
    run_id = await a_run(processor, client, status=503)
    answer = (await client.post(f"/v1/runs/{run_id}/cancel", json={"reason": "paciente ligou"})).json()
    again = await client.post(f"/v1/runs/{run_id}/cancel")
    run = (await client.get(f"/v1/runs/{run_id}")).json()
    assert answer["actions"][0]["fate"] == "cancelled"
    assert (run["status"], run["open_actions"], run["actions"][0]["status"]) == ("cancelled", 0, "cancelled")
    assert (run["cancelled_by"], run["cancel_reason"]) == ("ana", "paciente ligou")
    assert run["finished_at"] is not None
    assert (again.status_code, again.json()["type"]) == (409, "urn:nexus:problem:nothing-to-cancel")
    assert await processor.fetchval("select count(*) from pending_actions") == 0
    assert (await client.post(f"/v1/runs/{run_id}/redrive")).status_code == 409


async def test_what_is_out_this_moment_ends_first(processor: Any) -> None:
    client = await processor.client()
    processor.receiver.behave("/lento", delay=0.3)
    processor.receiver.behave("/ruim", status=503)
    actions = [processor.action("lento", "/lento"), processor.action("ruim", "/ruim")]
    await processor.publish(client, processor.definition(actions=actions))
    await processor.deliver(a_lead())
    await processor.job("sending").once()
    run_id = (await client.get("/v1/runs")).json()["items"][0]["id"]
    async with asyncio.timeout(5):
        while (await client.get(f"/v1/runs/{run_id}")).json()["actions"][1]["status"] != "retrying":
            await asyncio.sleep(0.01)
    answer = (await client.post(f"/v1/runs/{run_id}/cancel")).json()
    await processor.settled()
    run = (await client.get(f"/v1/runs/{run_id}")).json()
    assert {each["key"]: each["fate"] for each in answer["actions"]} == {
        "lento": "in_flight",
        "ruim": "cancelled",
    }
    assert answer["run"]["status"] == "running"
    assert (run["status"], run["open_actions"], run["failed_actions"]) == ("partial", 0, 1)


async def test_what_is_done_and_waits_is_measured(processor: Any) -> None:
    client = await processor.client()
    await a_run(processor, client, status=503)
    await processor.job("measuring").once()
    text = (await client.get("/metrics")).text
    assert 'nexus_webhook_attempts_total{code_class="http_5xx",outcome="failed_retryable"}' in text
    assert "nexus_webhook_seconds_count" in text
    assert "nexus_pending_actions 1.0" in text
    assert 'nexus_lane_position_events{lane="03"}' in text
    assert processor.tenant not in text

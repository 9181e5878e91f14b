"""Another tenant's ids lead nowhere: not through any route, not through any query, not past row-level security."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import nexus_trigger_processor.store
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.builders import a_lead_created
from nexus_trigger_processor.handlers.dead_letters import Undertaker
from nexus_trigger_processor.store.dead_letters import DeadLetterFilter, DeadLetterStore
from nexus_trigger_processor.store.decisions import DecisionFilter, DecisionStore
from nexus_trigger_processor.store.runs import Run, RunFilter, RunStore
from nexus_trigger_processor.store.triggers import TriggerFilter, TriggerStore

pytestmark = pytest.mark.integration

OTHER = "clinica-norte"
TABLES = (
    "triggers",
    "trigger_versions",
    "trigger_stats",
    "trigger_changes",
    "action_secrets",
    "decisions",
    "runs",
    "actions",
    "attempts",
    "pending_actions",
    "dead_letters",
)


async def a_tenants_things(processor: Any) -> dict[str, str]:
    """Something of everything; path parameters by name."""
    client = await processor.client()
    trigger = await processor.publish(client, processor.definition())
    processor.receiver.behave(status=503)
    await processor.deliver(a_lead_created(data={"source": "ads"}))
    await processor.send(1)
    letter = Delivery(json.dumps({"tenantid": processor.tenant}).encode(), message_id=processor.tenant)
    taker = Undertaker(DeadLetterStore(processor.database), MasterKeys({"m1": bytes(range(32, 64))}))
    await taker.commit(await taker.prepare([letter]))
    return {
        "trigger_id": trigger["id"],
        "version": "1",
        "action_key": "avisar",
        "run_id": (await client.get("/v1/runs")).json()["items"][0]["id"],
        "dead_letter_id": (await client.get("/v1/dead-letters")).json()["items"][0]["id"],
    }


async def everything(processor: Any) -> dict[str, list[str]]:
    """All the tenant's rows, as they are."""
    return {
        table: sorted(
            str(tuple(row))
            for row in await processor.fetch(f"select * from {table} where tenant_id = $1", processor.tenant)
        )
        for table in TABLES
    }


def routes_with_ids(processor: Any) -> Iterator[tuple[str, str]]:
    for path, operations in processor.service.api.openapi()["paths"].items():
        for method in operations:
            if "{" in path:
                yield method.upper(), path


async def test_no_route_takes_another_tenants_ids(processor: Any) -> None:
    ids = await a_tenants_things(processor)
    theirs = await processor.client(tenant=OTHER)
    before = await everything(processor)
    asked = list(routes_with_ids(processor))
    for method, path in asked:
        is_definition = method == "PUT"
        answer = await theirs.request(
            method,
            path.format(**ids),
            json=processor.definition() if is_definition else {} if "duplicate" in path else {"reason": "x"},
            headers={"If-Match": "*"},
        )
        assert answer.status_code == 404, (method, path, answer.text)
    assert len(asked) >= 15
    assert await everything(processor) == before
    assert all(before.values())


async def test_no_list_shows_another_tenants_things(processor: Any) -> None:
    ids = await a_tenants_things(processor)
    theirs = await processor.client(tenant="clinica-vazia")
    event = a_lead_created().id
    for path, filters in {
        "/v1/triggers": {"text": "Leads"},
        "/v1/runs": {"trigger_id": ids["trigger_id"], "event_id": event},
        "/v1/decisions": {"trigger_id": ids["trigger_id"], "event_id": event},
        "/v1/dead-letters": {"cause": "unknown"},
    }.items():
        for params in ({}, filters):
            assert (await theirs.get(path, params=params)).json()["items"] == []
            assert (await (await processor.client()).get(path, params=params)).json()["items"]
    assert (await theirs.get("/v1/dead-letters/causes")).json()["items"] == []


async def test_no_query_reaches_another_tenant_even_where_row_level_security_does_not_hold(
    processor: Any,
) -> None:
    ids = await a_tenants_things(processor)
    trigger, run_id, letter = ids["trigger_id"], ids["run_id"], ids["dead_letter_id"]
    triggers, runs, decisions = TriggerStore(), RunStore(), DecisionStore()
    letters = DeadLetterStore(processor.database)
    before = await everything(processor)
    async with processor.database.transaction() as worker:
        run = await runs.find(processor.tenant, worker, run_id)
        assert isinstance(run, Run)
        action_ids = [action.action_id for action in await runs.actions(processor.tenant, worker, run)]
        where = {
            "position": run.position,
            "trigger_id": trigger,
            "generation": 0,
            "recorded_at": run.recorded_at,
        }
        found = [
            await triggers.find(OTHER, worker, trigger),
            await triggers.lock(OTHER, worker, trigger),
            await triggers.page(OTHER, worker, TriggerFilter(text="Leads"), None, 10),
            await triggers.versions(OTHER, worker, trigger, None, 10),
            await triggers.version(OTHER, worker, trigger, 1),
            await triggers.secrets(OTHER, worker, trigger),
            await runs.page(OTHER, worker, RunFilter(event_id=run.event_id), None, 10),
            await runs.find(OTHER, worker, run_id),
            await runs.actions(OTHER, worker, run),
            await runs.attempts(OTHER, worker, run, action_ids),
            await runs.cancel(OTHER, worker, run, by="x", reason=""),
            await runs.redrive(OTHER, worker, run),
            await decisions.page(OTHER, worker, DecisionFilter(event_id=run.event_id), None, 10),
            await decisions.of_run(OTHER, worker, **where),
            await letters.page(OTHER, worker, DeadLetterFilter(cause="unknown"), None, 10),
            await letters.causes("clinica-vazia", worker),
            await letters.find(OTHER, worker, letter),
            await letters.discard(OTHER, worker, letter, by="x", note=""),
        ]
        await triggers.save_draft(OTHER, worker, trigger, name="x", draft=None, by="x")
        await triggers.deactivate(OTHER, worker, trigger, by="x", is_deleted=True)
        await triggers.put_secret(OTHER, worker, trigger, "avisar", b"x")
        await triggers.activate(
            OTHER, worker, trigger, name="x", version=1, event_type="x", draft=None, effective_after=0, by="x"
        )
    assert [bool(each) for each in found] == [False] * len(found)
    assert await everything(processor) == before


async def test_row_level_security_stands_behind_every_query(processor: Any) -> None:
    await a_tenants_things(processor)
    for tenant, sees in ((OTHER, False), (processor.tenant, True)):
        async with processor.database.tenant(tenant) as connection:
            for table in TABLES:
                own = await connection.fetchval(
                    f"select count(*) from {table} where tenant_id = $1", processor.tenant
                )
                assert bool(own) is sees, (table, tenant)


def stores() -> Iterator[type[Any]]:
    for module in pkgutil.iter_modules(nexus_trigger_processor.store.__path__):
        name = f"nexus_trigger_processor.store.{module.name}"
        for _, found in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if found.__module__ == name and found.__name__.endswith("Store"):
                yield found


def test_every_store_method_takes_the_tenant_first_or_says_why_not() -> None:
    checked = 0
    for store in stores():
        for name, method in inspect.getmembers(store, inspect.iscoroutinefunction):
            checked += 1
            first = list(inspect.signature(method).parameters)[1:2]
            assert first == ["tenant_id"] or method.across_tenants, f"{store.__name__}.{name}"
    assert checked >= 30

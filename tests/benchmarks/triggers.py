"""Triggers for the benchmarks, put into the database as published: what the API would write, without 200 calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from benchmarks.stage import master_keys
from nexus_shared.ids import derive
from nexus_shared.outbound.signing import new_secret
from nexus_shared.sealing import MasterKeys
from nexus_trigger_processor.domain.triggers import TriggerDefinition, compile_trigger

SCHEMA = "trigger_processor"
ACTION = "hook"

_CLAUSES: Mapping[str, Sequence[tuple[str, str, Any]]] = {
    "lead.created": (
        ("data.consent.whatsapp", "=", True),
        ("data.source", "in", ["ads", "whatsapp", "site", "referral"]),
        ("data.status", "=", "novo"),
    ),
    "appointment.scheduled": (
        ("data.modality", "=", "in_person"),
        ("data.price_cents", ">=", 10_000),
        ("data.booked_channel", "in", ["whatsapp", "site", "phone", "reception"]),
    ),
}
_NEVER = ("type", "=", "none.such")


class Published(NamedTuple):
    """A trigger of a tenant for an event type; `number` tells several of the same pair apart."""

    trigger_id: UUID
    tenant_id: str
    event_type: str
    number: int


def condition_of(event_type: str, *, matches: bool = True) -> dict[str, Any]:
    """Three clauses that every event of the benchmarks fulfils; or, on top, a last one that none does."""
    clauses = [*_CLAUSES.get(event_type, ()), *(() if matches else (_NEVER,))]
    rules = [{"field": field, "operator": operator, "value": value} for field, operator, value in clauses]
    return {"combinator": "and", "rules": rules}


def definition(event_type: str, url: str, name: str, *, matches: bool = True) -> TriggerDefinition:
    """One signed webhook that carries the event itself."""
    made = TriggerDefinition.model_validate(
        {
            "name": name,
            "event_type": event_type,
            "conditions": condition_of(event_type, matches=matches),
            "actions": [{"key": ACTION, "kind": "send_webhook", "parameters": {"url": url}}],
        }
    )
    compiled = compile_trigger(UUID(int=0), 1, made, 0)
    assert not compiled.broken, compiled.broken
    return made


def trigger(tenant_id: str, event_type: str, number: int = 0) -> Published:
    return Published(derive("benchmark", tenant_id, event_type, number), tenant_id, event_type, number)


async def publish(
    admin: asyncpg.Connection[asyncpg.Record],
    triggers: Sequence[Published],
    url: str,
    *,
    matches: bool = True,
) -> None:
    """Writes them as published before any event; each with a signing secret, as every webhook has."""
    documents = _documents(triggers, url, matches=matches)
    master = master_keys()
    rows = {
        "triggers": [_trigger_row(trigger) for trigger in triggers],
        "trigger_versions": [(*t[:2], 1, documents[t.event_type, t.number], BY) for t in triggers],
        "trigger_changes": [t[:3] for t in triggers],
        "action_secrets": [(*t[:2], ACTION, _secret(master, t)) for t in triggers],
    }
    for table, columns in _COLUMNS.items():
        await admin.copy_records_to_table(
            table, schema_name=SCHEMA, columns=columns.split(), records=rows[table]
        )
    await admin.execute(f"analyze {', '.join(f'{SCHEMA}.{table}' for table in rows)}")


BY = "benchmark"
_COLUMNS = {
    "triggers": "trigger_id tenant_id event_type name status version latest_version effective_after created_by"
    " updated_by",
    "trigger_versions": "trigger_id tenant_id version definition published_by",
    "trigger_changes": "trigger_id tenant_id event_type",
    "action_secrets": "trigger_id tenant_id action_key sealed",
}


def _trigger_row(trigger: Published) -> tuple[Any, ...]:
    name = f"{trigger.event_type} {trigger.number}"
    return (*trigger[:3], name, "published", 1, 1, 0, BY, BY)


def _documents(triggers: Sequence[Published], url: str, *, matches: bool) -> dict[tuple[str, int], str]:
    """The definition's JSON by event type and number: checking each of 100,000 would take minutes."""
    return {
        (event_type, number): orjson.dumps(
            definition(event_type, url, f"{event_type} {number}", matches=matches).public()
        ).decode()
        for event_type, number in {(t.event_type, t.number) for t in triggers}
    }


def _secret(master: MasterKeys, trigger: Published) -> bytes:
    return master.seal(new_secret().encode(), f"{trigger.tenant_id}|{trigger.trigger_id}|{ACTION}")

"""Runs: what became of them, step by step, and taking a hand in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from uuid import UUID

import structlog

from nexus_shared.access.principal import Principal
from nexus_shared.database import Connection, Database
from nexus_shared.errors import NexusError
from nexus_shared.ids import TenantId
from nexus_shared.sealing import MasterKeys, SealBroken
from nexus_trigger_processor.domain.conditions import MASK
from nexus_trigger_processor.handlers.decisions import DecisionView, Explainer
from nexus_trigger_processor.store.decisions import DecisionStore
from nexus_trigger_processor.store.runs import Action, Attempt, Run, RunFilter, RunKey, RunStore

__all__ = [
    "ActionView",
    "AttemptView",
    "Changed",
    "Fate",
    "Interventions",
    "NothingFailed",
    "NothingWaits",
    "RunFilter",
    "RunKey",
    "RunNotFound",
    "RunView",
    "Runs",
    "Trace",
]

log = structlog.get_logger(__name__)


class RunNotFound(NexusError):
    """There is no such run; perhaps its retention is over."""

    status = 404
    slug = "run-not-found"
    title = "There is no such run"


class NothingWaits(NexusError):
    """What was to be done is done, failed or cancelled; nothing waits any more."""

    status = 409
    slug = "nothing-to-cancel"
    title = "There is nothing to cancel"


class NothingFailed(NexusError):
    """No action of this run failed or has an unknown outcome."""

    status = 409
    slug = "nothing-to-redrive"
    title = "There is nothing to send again"


class Fate(StrEnum):
    """What an intervention did to an action."""

    CANCELLED = "cancelled"
    IN_FLIGHT = "in_flight"
    QUEUED = "queued"
    ALREADY_QUEUED = "already_queued"
    UNTOUCHED = "untouched"


@dataclass(frozen=True, slots=True)
class AttemptView:
    """`response` is how the receiver's answer begins; masked unless revealed, since it may repeat what we sent."""

    row: Attempt
    response: str | None


@dataclass(frozen=True, slots=True)
class ActionView:
    row: Action
    attempts: Sequence[AttemptView] = ()


@dataclass(frozen=True, slots=True)
class RunView:
    run: Run
    actions: Sequence[Action]


@dataclass(frozen=True, slots=True)
class Trace:
    """All there is to know about a run; no decision where only the run was kept."""

    run: Run
    decision: DecisionView | None
    actions: Sequence[ActionView]


@dataclass(frozen=True, slots=True)
class Changed:
    """A run after an intervention, and what it did to each action."""

    run: Run
    fates: Sequence[tuple[Action, Fate]]


class Runs:
    """Looking at runs."""

    def __init__(
        self,
        database: Database,
        store: RunStore,
        decisions: DecisionStore,
        explainer: Explainer,
        master: MasterKeys,
    ) -> None:
        self._database, self._store, self._decisions = database, store, decisions
        self._explainer, self._master = explainer, master

    async def page(
        self, tenant_id: TenantId, narrowed: RunFilter, after: RunKey | None, limit: int
    ) -> list[Run]:
        async with self._database.tenant(tenant_id) as connection:
            return await self._store.page(tenant_id, connection, narrowed, after, limit)

    async def find(self, tenant_id: TenantId, run_id: UUID) -> RunView:
        async with self._database.tenant(tenant_id) as connection:
            run = await existing(self._store, tenant_id, connection, run_id)
            return RunView(run, await self._store.actions(tenant_id, connection, run))

    async def trace(self, who: Principal, run_id: UUID, *, reveal: bool) -> Trace:
        """The decision with every clause's values, and every action with its attempts."""
        tenant_id = who.tenant_id
        async with self._database.tenant(tenant_id) as connection:
            run = await existing(self._store, tenant_id, connection, run_id)
            decision = await self._decisions.of_run(
                tenant_id,
                connection,
                position=run.position,
                trigger_id=run.trigger_id,
                generation=run.generation,
                recorded_at=run.recorded_at,
            )
            actions = await self._store.actions(tenant_id, connection, run)
            ids = [action.action_id for action in actions]
            attempts = await self._store.attempts(tenant_id, connection, run, ids)
        if reveal:
            log.info("trace_revealed", run_id=str(run_id), by=who.jti)
        explained = self._explainer.explain(tenant_id, decision, reveal=reveal) if decision else None
        return Trace(run, explained, self._with_attempts(tenant_id, actions, attempts, reveal=reveal))

    def _with_attempts(
        self, tenant_id: TenantId, actions: Sequence[Action], attempts: Sequence[Attempt], *, reveal: bool
    ) -> list[ActionView]:
        made = {
            action_id: [AttemptView(row, self._response(tenant_id, row, reveal=reveal)) for row in rows]
            for action_id, rows in groupby(attempts, lambda row: row.action_id)
        }
        return [ActionView(action, made.get(action.action_id, [])) for action in actions]

    def _response(self, tenant_id: TenantId, row: Attempt, *, reveal: bool) -> str | None:
        if row.response is None:
            return None
        if not reveal:
            return MASK
        try:
            return self._master.open(row.response, f"{tenant_id}|{row.action_id}").decode(errors="replace")
        except SealBroken:
            return None


class Interventions:
    """Taking a hand in runs. `on_actions` wakes whoever performs them."""

    def __init__(self, database: Database, store: RunStore, *, on_actions: Callable[[], None]) -> None:
        self._database, self._store, self._on_actions = database, store, on_actions

    async def cancel(self, who: Principal, run_id: UUID, reason: str) -> Changed:
        """What waits is not done any more; what is out this moment is reported as in flight. Raises NothingWaits."""
        async with self._database.tenant(who.tenant_id) as connection:
            run = await existing(self._store, who.tenant_id, connection, run_id)
            gone = await self._store.cancel(who.tenant_id, connection, run, by=who.name, reason=reason)
            changed = await self._changed(who.tenant_id, connection, run_id, gone, Fate.CANCELLED)
        if not gone and not any(action.is_in_flight for action, _ in changed.fates):
            raise NothingWaits("What was to be done is done, failed or cancelled; nothing waits any more.")
        log.info("run_cancelled", run_id=str(run_id), actions=len(gone), by=who.jti)
        return changed

    async def redrive(self, who: Principal, run_id: UUID) -> Changed:
        """What failed, or may have, is sent once more under the same ids. Calling it twice sends nothing twice.

        Raises NothingFailed.
        """
        async with self._database.tenant(who.tenant_id) as connection:
            run = await existing(self._store, who.tenant_id, connection, run_id)
            again = await self._store.redrive(who.tenant_id, connection, run)
            changed = await self._changed(who.tenant_id, connection, run_id, again, Fate.QUEUED)
        if not any(fate in (Fate.QUEUED, Fate.ALREADY_QUEUED) for _, fate in changed.fates):
            raise NothingFailed("No action of this run failed or has an unknown outcome.")
        if again:
            log.info("run_redriven", run_id=str(run_id), actions=len(again), by=who.jti)
            self._on_actions()
        return changed

    async def _changed(
        self, tenant_id: TenantId, connection: Connection, run_id: UUID, touched: set[UUID], fate: Fate
    ) -> Changed:
        run = await existing(self._store, tenant_id, connection, run_id)
        actions = await self._store.actions(tenant_id, connection, run)
        return Changed(
            run, [(action, fate if action.action_id in touched else _left(action)) for action in actions]
        )


def _left(action: Action) -> Fate:
    """An action that was not touched: one that was redriven before and waits, one that is out, or one that is over."""
    if action.status == "queued" and action.attempts > 0:
        return Fate.ALREADY_QUEUED
    return Fate.IN_FLIGHT if action.is_in_flight else Fate.UNTOUCHED


async def existing(store: RunStore, tenant_id: TenantId, connection: Connection, run_id: UUID) -> Run:
    """Raises RunNotFound."""
    run = await store.find(tenant_id, connection, run_id)
    if run is None:
        raise RunNotFound
    return run

"""Performing webhooks: claim, commit the intent, call, record the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson
import structlog

from nexus_shared.crashpoints import crash_point
from nexus_shared.database import Database, is_away
from nexus_shared.database.outbox import Outbox, OutboxStore
from nexus_shared.envelope import RetryPolicy
from nexus_shared.facts import Cause, fact_json, fact_messages
from nexus_shared.ids import derive
from nexus_shared.messaging.connection import backoff
from nexus_shared.sealing import MasterKeys
from nexus_trigger_processor.client import WebhookClient, WebhookRequest
from nexus_trigger_processor.measures import Measures
from nexus_trigger_processor.retries import Outcome, OutcomeKind, next_attempt
from nexus_trigger_processor.store.sending import Claim, SendingStore, Settlement

log = structlog.get_logger(__name__)

SOURCE = "trigger-processor"
TENANT_CAP = 64
PER_CLAIM = 32


@dataclass(frozen=True, slots=True)
class Done:
    """An attempt that was made, and what it came to."""

    claim: Claim
    outcome: Outcome
    due_at: datetime | None
    status: str

    def settlement(self, response: bytes | None) -> Settlement:
        outcome = self.outcome
        return Settlement(
            self.claim.action_id,
            self.claim.attempt,
            self.claim.recorded_at,
            outcome.kind.value,
            outcome.code,
            outcome.status,
            round(outcome.latency_ms),
            response,
            self.status,
            self.due_at,
        )


class Sender:
    """Keeps up to `slots` requests in flight; `once` is a job's step, woken whenever actions were committed."""

    def __init__(
        self,
        store: SendingStore,
        client: Callable[[], WebhookClient],
        settler: Settler,
        master: MasterKeys,
        *,
        slots: int,
    ) -> None:
        self._store, self._make_client, self._settler, self._master = store, client, settler, master
        self._slots = slots
        self._client: WebhookClient | None = None
        self._in_flight: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    async def once(self) -> bool:
        """Claims what is due, at most as many as there are free slots; True when there may be more."""
        free = self._slots - len(self._in_flight)
        if free < max(1, self._slots // 4):  # a claim for one slot costs as much as a claim for many
            self._freed.clear()
            await self._freed.wait()
            return True
        claims = await self._store.claim(free, tenant_cap=TENANT_CAP, per_claim=PER_CLAIM)
        if claims:
            crash_point("send.after_claim")
        for claim in claims:
            task = asyncio.create_task(self._perform(claim))
            self._in_flight.add(task)
            task.add_done_callback(self._free)
        return bool(claims)

    def _free(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._freed.set()

    async def _perform(self, claim: Claim) -> None:
        try:
            request = self._request(claim)
        except Exception as error:  # sealed under a lost key: it can never be sent
            log.error("action_unreadable", action_id=str(claim.action_id), error=type(error).__name__)
            outcome = Outcome(
                OutcomeKind.FAILED_FINAL, "unreadable", "The stored request cannot be opened", 0.0
            )
        else:
            if self._client is None:
                self._client = self._make_client()
            outcome = await self._client.send(request)
        crash_point("send.after_call")
        await self._settler.settle(claim, outcome)

    def _request(self, claim: Claim) -> WebhookRequest:
        stored = orjson.loads(self._master.open(claim.request, f"{claim.tenant_id}|{claim.action_id}"))
        sealed = [secret for secret in (claim.secret, claim.previous_secret) if secret is not None]
        place = f"{claim.tenant_id}|{claim.trigger_id}|{claim.step}"
        body: Any = stored["body"]
        return WebhookRequest(
            action_id=claim.action_id,
            url=stored["url"],
            body=body.encode() if isinstance(body, str) else orjson.dumps(body),
            at=datetime.now(UTC),
            secrets=tuple(self._master.open(secret, place).decode() for secret in sealed),
            headers=stored["headers"],
            content_type=stored["content_type"],
        )

    async def close(self) -> None:
        """Waits for what is in flight: cut off, it would be unknown."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=20)
        if self._client is not None:
            await self._client.close()


class Settler:
    """Records outcomes, many at a time: whatever was finished while the ones before were being written."""

    def __init__(
        self,
        database: Database,
        store: SendingStore,
        outbox_store: OutboxStore,
        outbox: Outbox,
        master: MasterKeys,
        measures: Measures,
    ) -> None:
        self._database, self._store, self._outbox_store, self._outbox = database, store, outbox_store, outbox
        self._master, self._measures = master, measures
        self._rng = Random()
        self._done: list[tuple[Done, asyncio.Future[None]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def settle(self, claim: Claim, outcome: Outcome) -> None:
        """Returns when the outcome is committed; waits as long as PostgreSQL is away."""
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done.append((self._judge(claim, outcome), recorded))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await recorded

    def _judge(self, claim: Claim, outcome: Outcome) -> Done:
        now = datetime.now(UTC)
        policy = RetryPolicy(max_attempts=claim.max_attempts, on_unknown=claim.on_unknown)
        due_at = next_attempt(claim.attempt - claim.base, outcome, now, policy, self._rng)
        if due_at is not None and due_at > claim.deadline_at:
            due_at = None
        if due_at is not None:
            return Done(claim, outcome, due_at, "retrying")
        status = {OutcomeKind.SUCCEEDED: "succeeded", OutcomeKind.UNKNOWN: "unknown"}.get(
            outcome.kind, "failed"
        )
        return Done(claim, outcome, None, status)

    async def _work(self) -> None:
        while self._done:
            batch, self._done = self._done, []
            waits = backoff()
            while True:
                try:
                    await self._record([done for done, _ in batch])
                    break
                except Exception as error:
                    log.warning("outcomes_wait", actions=len(batch), error=type(error).__name__)
                    if not is_away(
                        error
                    ):  # the leases run out and the actions are tried again, with the same ids
                        log.error("outcomes_lost", actions=len(batch), error=type(error).__name__)
                        break
                    await asyncio.sleep(next(waits))
            for _, recorded in batch:
                recorded.set_result(None)

    async def _record(self, batch: Sequence[Done]) -> None:
        settlements = [done.settlement(self._sealed_response(done)) for done in batch]
        async with self._database.transaction() as connection:
            held = await self._store.settle(connection, settlements)
            facts = [outcome_fact(d) for d in batch if d.due_at is None and d.claim.action_id in held]
            rows = fact_messages(facts)
            ids = await self._outbox_store.insert(connection, rows)
            crash_point("settle.before_commit")
        crash_point("settle.after_commit")
        self._outbox.post(ids, rows)
        self._measures.attempted(done.outcome for done in batch)

    def _sealed_response(self, done: Done) -> bytes | None:
        if not done.outcome.response:
            return None
        return self._master.seal(
            done.outcome.response.encode(), f"{done.claim.tenant_id}|{done.claim.action_id}"
        )


def outcome_fact(done: Done) -> bytes:
    """`automation.action_succeeded`, `_failed` or `_unknown`: the end of an action, for everybody."""
    claim, outcome = done.claim, done.outcome
    data: dict[str, Any] = {
        "run_id": str(claim.run_id),
        "step": claim.step,
        "kind": claim.kind,
        "action_id": str(claim.action_id),
        "status_seq": claim.attempt,
        "attempt": claim.attempt,
        "latency_ms": round(outcome.latency_ms),
        "result": {"status": outcome.status} if outcome.status is not None else {},
    }
    if done.status != "succeeded":
        data["error_class"] = outcome.code
    return fact_json(
        Cause(claim.event_id, claim.correlation_id, claim.hops, claim.traceparent),
        id=str(derive(claim.action_id, claim.attempt, done.status)),
        source=SOURCE,
        type=f"automation.action_{done.status}",
        tenant_id=claim.tenant_id,
        subject=f"run/{claim.run_id}",
        time=datetime.now(UTC),
        data=data,
    )

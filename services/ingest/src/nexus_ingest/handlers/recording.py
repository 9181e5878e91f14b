"""Recording: envelopes in, one verdict per event out. What AMQP brought and cannot be recorded is quarantined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nexus_ingest.domain.content import canonical, digest_of, outgoing, sealed_plain
from nexus_ingest.domain.door import Admitted, Moment, Publisher, Refused, admit, broker_publisher
from nexus_ingest.domain.frames import lane_for
from nexus_ingest.domain.quarantining import Rejected, conflict_of, rejected_event, rejected_message
from nexus_ingest.handlers.appending import Appender, Ready
from nexus_ingest.handlers.quarantine import Quarantine
from nexus_ingest.handlers.sealing import PersonKey, Sealer, seal_part
from nexus_ingest.store.log import Answer, KeyTaken, Row
from nexus_shared import strict_json, wire
from nexus_shared.crashpoints import crash_point
from nexus_shared.errors import InputInvalid, StoreAway
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.strict_json import Inspected

KEY_RACES = 5
"""How often another instance may be faster with the keys of new persons."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event: an answer of the log, or why it was refused."""

    answer: Answer | None = None
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of AMQP messages, ready to append, and what of it goes to quarantine."""

    admitted: Sequence[Admitted]
    ready: Sequence[Ready]
    rejected: Sequence[Rejected]


class Recorder:
    """The one way in, for AMQP and HTTP alike."""

    def __init__(
        self,
        appender: Appender,
        sealer: Sealer,
        quarantine: Quarantine,
        digest_key: bytes,
        clock: Callable[[], datetime],
        window: timedelta,
    ) -> None:
        self._appender, self._sealer, self._quarantine = appender, sealer, quarantine
        self._digest_key, self._clock, self._window = digest_key, clock, window

    async def record(self, items: Sequence[Inspected], publisher: Publisher) -> list[Verdict]:
        """One verdict per item, in order (HTTP): nothing is quarantined, the caller is told instead."""
        moment = self._moment()
        judged = [_judge(item, publisher, moment) for item in items]
        admitted = [verdict for verdict in judged if isinstance(verdict, Admitted)]
        answers = iter(await self._append(admitted, await self._ready(admitted)))
        return [
            Verdict(refused=verdict) if isinstance(verdict, Refused) else Verdict(answer=next(answers))
            for verdict in judged
        ]

    async def prepare(self, batch: Sequence[Delivery]) -> Prepared:
        """Everything about AMQP messages that needs no order: read, judge, seal."""
        admitted: list[Admitted] = []
        rejected: list[Rejected] = []
        moment = self._moment()
        for delivery in batch:
            publisher = broker_publisher(delivery.key, delivery.user_id)
            try:
                items, is_batch = wire.read(delivery.body, delivery.content_type, delivery.headers)
            except InputInvalid as error:
                rejected.append(rejected_message(delivery, publisher, error))
                continue
            for item in items:
                verdict = _judge(item, publisher, moment, "" if is_batch else delivery.key)
                if isinstance(verdict, Refused):
                    rejected.append(rejected_event(item, delivery, publisher, verdict))
                else:
                    admitted.append(verdict)
        return Prepared(admitted, await self._ready(admitted), rejected)

    async def commit(self, prepared: Prepared) -> None:
        """The append, and the quarantine of what is unfit or contradicts what was recorded."""
        crash_point("record.before_append")
        answers = await self._append(prepared.admitted, prepared.ready)
        crash_point("record.after_append")
        conflicts = [
            conflict_of(row.tenant_id, row.source, row.event_id, row.type, outgoing_json, digest=row.digest)
            for (row, outgoing_json, _), answer in zip(prepared.ready, answers, strict=True)
            if answer.status == "conflict"
        ]
        if rejected := [*prepared.rejected, *conflicts]:
            facts = await self._quarantine.keep(rejected)
            crash_point("record.after_quarantine")
            await self.record([strict_json.inspect(fact) for fact in facts], self._quarantine.publisher)

    async def _append(self, admitted: Sequence[Admitted], ready: Sequence[Ready]) -> list[Answer]:
        """After a failure new keys are doubtful; only what another instance did to keys is worth another try."""
        for _ in range(KEY_RACES):
            try:
                return await self._appender.append(ready)
            except KeyTaken:
                self._sealer.forget_new()
                self._sealer.forget((event.event.tenantid, event.person) for event in admitted)
                ready = await self._ready(admitted)
            except Exception:
                self._sealer.forget_new()
                raise
        raise StoreAway("Too many instances meet the same new persons")

    def _moment(self) -> Moment:
        return Moment.at(self._clock(), self._window)

    async def _ready(self, admitted: Sequence[Admitted]) -> list[Ready]:
        """Rows with the personal part sealed under each person's key."""
        plain = [sealed_plain(event) for event in admitted]
        keys = await self._sealer.keys_of(
            (event.event.tenantid, event.person) for event, text in zip(admitted, plain, strict=True) if text
        )
        return [
            self._ready_one(event, text, keys.get((event.event.tenantid, event.person)))
            for event, text in zip(admitted, plain, strict=True)
        ]

    def _ready_one(self, admitted: Admitted, plain: bytes | None, key: PersonKey | None) -> Ready:
        event = admitted.event
        sealed = None
        if plain is None:
            key = None
        elif key is not None:
            sealed = seal_part(key, plain, event.tenantid, event.source, event.id)
        content = canonical(admitted)
        row = Row(
            lane_for(event.tenantid, admitted.subject, event.id),
            event.tenantid,
            event.source,
            event.id,
            event.type,
            admitted.is_known,
            event.schemaversion,
            admitted.subject,
            admitted.occurred_at,
            admitted.correlation_id,
            event.causationid,
            event.hops,
            event.traceparent,
            strict_json.dumps(admitted.open).decode(),
            sealed,
            key.key_id if key is not None else None,
            digest_of(self._digest_key, content),
        )
        return Ready(row, outgoing(admitted, content), key)


def _judge(item: Inspected, publisher: Publisher, moment: Moment, key: str = "") -> Admitted | Refused:
    try:
        return admit(item, publisher, moment, key)
    except Refused as refused:
        return refused

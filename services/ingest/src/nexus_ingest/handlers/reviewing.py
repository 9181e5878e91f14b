"""Reviewing the quarantine: what came in unfit is read, corrected and recorded, or discarded with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from nexus_ingest.domain.door import Publisher
from nexus_ingest.domain.quarantining import KEPT_BYTES
from nexus_ingest.handlers.recording import Recorder, Verdict
from nexus_ingest.store.quarantine import Entry, QuarantineStore
from nexus_shared import wire
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.envelope import BATCH, STRUCTURED
from nexus_shared.errors import Flaw, InputInvalid, NexusError
from nexus_shared.ids import TenantId
from nexus_shared.sealing import MasterKeys

SETTLED = {"stored", "duplicate"}


class QuarantineEntryNotFound(NexusError):
    """There is no such entry in this tenant's quarantine."""

    status = 404
    slug = "quarantine-entry-not-found"
    title = "There is no such entry"

    def __init__(self) -> None:
        super().__init__("There is no such entry in this tenant's quarantine. GET /v1/quarantine lists them.")


class QuarantineEntrySettled(NexusError):
    """The entry was recorded already. Nothing is left to do."""

    status = 409
    slug = "quarantine-entry-settled"
    title = "The entry is settled"

    def __init__(self, status: str) -> None:
        super().__init__(f"The entry was {status} already. Nothing is left to do.")


class ContentIncomplete(NexusError):
    """Only the first 65536 bytes were kept. Send the whole corrected event as the body."""

    status = 409
    slug = "content-incomplete"
    title = "The content was not kept whole"

    def __init__(self) -> None:
        super().__init__(
            f"Only the first {KEPT_BYTES} bytes were kept. Send the whole corrected event as the body."
        )


class RecordedOtherwise(NexusError):
    """An event with this id and source is recorded with other content. Give the corrected event a new id."""

    status = 409
    slug = "recorded-otherwise"
    title = "The id belongs to another event"

    def __init__(self) -> None:
        super().__init__(
            "An event with this id and source is recorded with other content. "
            "Send the corrected event as the body, with a new id."
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry with what was kept of it. `event` is the content as JSON, where it is JSON."""

    entry: Entry
    text: str
    event: Any
    is_complete: bool


class Reviewing:
    def __init__(self, store: QuarantineStore, master: MasterKeys, recorder: Recorder) -> None:
        self._store, self._master, self._recorder = store, master, recorder

    async def page(
        self, tenant_id: TenantId, *, status: str | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Entry]:
        return await self._store.page(tenant_id, status=status, before=before, limit=limit)

    async def entry(self, tenant_id: TenantId, quarantine_id: UUID) -> Opened:
        """Raises QuarantineEntryNotFound."""
        kept = await self._store.entry(tenant_id, quarantine_id)
        if kept is None:
            raise QuarantineEntryNotFound
        entry, sealed = kept
        content = self._open(entry, sealed)
        return Opened(
            entry, content.decode("utf-8", "replace"), _json(content), entry.content_size <= KEPT_BYTES
        )

    async def record(self, who: Principal, quarantine_id: UUID, corrected: bytes) -> list[Verdict]:
        """Records the corrected event, or without one what was kept; a verdict for each event of it.

        The entry is held meanwhile, so of two callers one comes too late. It stays open unless everything in it is
        recorded now. Raises QuarantineEntryNotFound, QuarantineEntrySettled, ContentIncomplete, RecordedOtherwise,
        InputInvalid.
        """
        async with self._store.settling(who.tenant_id, quarantine_id) as held:
            if held is None:
                raise QuarantineEntryNotFound
            _require_open(held.entry)
            if not corrected and held.entry.content_size > KEPT_BYTES:
                raise ContentIncomplete
            content = corrected or self._open(held.entry, held.content)
            verdicts = await self._record(content, held.entry, who)
            await held.settle("recorded", who.name, "corrected" if corrected else "as it came")
        return verdicts

    async def discard(self, who: Principal, quarantine_id: UUID, reason: str) -> None:
        """Raises QuarantineEntryNotFound, QuarantineEntrySettled."""
        async with self._store.settling(who.tenant_id, quarantine_id) as held:
            if held is None:
                raise QuarantineEntryNotFound
            _require_open(held.entry)
            await held.settle("discarded", who.name, reason)

    async def _record(self, content: bytes, entry: Entry, who: Principal) -> list[Verdict]:
        items, is_batch = wire.read(content, BATCH if content.lstrip().startswith(b"[") else STRUCTURED, {})
        verdicts = await self._recorder.record(items, _publisher(entry, who))
        if flaws := [
            flaw for n, verdict in enumerate(verdicts) for flaw in _flaws(verdict, n if is_batch else None)
        ]:
            raise InputInvalid("; ".join(flaw.message for flaw in flaws[:3]), flaws=flaws)
        if any(verdict.answer is None or verdict.answer.status not in SETTLED for verdict in verdicts):
            raise RecordedOtherwise
        return verdicts

    def _open(self, entry: Entry, sealed: bytes) -> bytes:
        return self._master.open(sealed, f"{entry.tenant_id}|{entry.quarantine_id}")


def _publisher(entry: Entry, who: Principal) -> Publisher:
    """Who first said it, within what the reviewer may. What services of ours said wrong is the platform's to mend."""
    may_backfill = Scope.EVENTS_BACKFILL in who.scopes
    if who.is_platform and entry.publisher.startswith("svc."):
        return Publisher(entry.publisher, None, entry.publisher.removeprefix("svc."), may_backfill)
    return Publisher(entry.publisher, who.tenant_id, may_backfill=may_backfill)


def _require_open(entry: Entry) -> None:
    if entry.status != "open":
        raise QuarantineEntrySettled(entry.status)


def _flaws(verdict: Verdict, number: int | None) -> list[Flaw]:
    """The flaws of one event, with its place in the batch if it came in one."""
    flaws = verdict.refused.flaws if verdict.refused is not None else ()
    prefix = "" if number is None else f"/{number}"
    return [Flaw(prefix + flaw.pointer, flaw.message, flaw.code) for flaw in flaws]


def _json(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None

"""What makes a trigger fire and what stops it: publish, enable, restore, disable, delete.

Each locks the lanes, so that every batch of events is decided either before or after, never half; and tells of itself
by a fact that commits with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import orjson
import structlog

from nexus_shared.access.principal import Principal
from nexus_shared.database import Connection, Database
from nexus_shared.database.outbox import Outbox, OutboxRow, OutboxStore
from nexus_shared.envelope import Event
from nexus_shared.errors import NexusError
from nexus_shared.facts import fact_messages
from nexus_shared.ids import derive
from nexus_trigger_processor.domain.triggers import OutsideChecks, TriggerDefinition, read_definition
from nexus_trigger_processor.handlers.triggers import VersionNotFound, as_json, locked
from nexus_trigger_processor.store.triggers import TriggerRow, TriggerStore

log = structlog.get_logger(__name__)

SOURCE = "trigger-processor"

Step = Literal["published", "disabled", "deleted"]
Posted = tuple[list[int], list[OutboxRow]]


class NothingToPublish(NexusError):
    """Version 3 is what was last saved. Edit the trigger first; a disabled one is switched on again by enabling it."""

    status = 409
    slug = "nothing-to-publish"
    title = "There is nothing new to publish"


class NeverPublished(NexusError):
    """The trigger is a draft that was never published: there is nothing to switch on or off."""

    status = 409
    slug = "never-published"
    title = "The trigger was never published"


class Publishing:
    def __init__(
        self,
        database: Database,
        store: TriggerStore,
        checks: OutsideChecks,
        outbox_store: OutboxStore,
        outbox: Outbox,
    ) -> None:
        self._database, self._store, self._checks = database, store, checks
        self._outbox_store, self._outbox = outbox_store, outbox

    async def publish(
        self, who: Principal, trigger_id: UUID, reason: str, revision: int | None = None
    ) -> None:
        """The draft becomes the next version and decides about every event from now on.

        Raises TriggerNotFound, RevisionConflict, NothingToPublish, DefinitionInvalid.
        """
        async with self._database.tenant(who.tenant_id) as connection:
            row = await locked(self._store, who.tenant_id, connection, trigger_id, revision)
            if row.draft is None:
                raise NothingToPublish(
                    f"Version {row.version} is what was last saved. Edit the trigger first; a disabled one is"
                    " switched on again by enabling it."
                )
            definition = read_definition(orjson.loads(row.draft), self._checks)
            posted = await self._publish_new(who, connection, row, definition, reason, draft=None)
        self._outbox.post(*posted)

    async def restore(
        self, who: Principal, trigger_id: UUID, version: int, reason: str, revision: int | None = None
    ) -> None:
        """An old version's definition becomes the next version. A draft in progress stays.

        Raises TriggerNotFound, VersionNotFound, RevisionConflict, DefinitionInvalid.
        """
        async with self._database.tenant(who.tenant_id) as connection:
            row = await locked(self._store, who.tenant_id, connection, trigger_id, revision)
            old = await self._store.version(who.tenant_id, connection, trigger_id, version)
            if old is None:
                raise VersionNotFound
            definition = read_definition(orjson.loads(old.definition), self._checks)
            posted = await self._publish_new(who, connection, row, definition, reason, draft=row.draft)
        self._outbox.post(*posted)

    async def enable(
        self, who: Principal, trigger_id: UUID, reason: str, revision: int | None = None
    ) -> None:
        """A disabled trigger's current version decides again, from now on; what came meanwhile stays undecided."""
        async with self._database.tenant(who.tenant_id) as connection:
            row = await locked(self._store, who.tenant_id, connection, trigger_id, revision)
            if row.definition is None:
                raise NeverPublished
            if row.status == "published":
                return
            definition = read_definition(orjson.loads(row.definition), self._checks)
            posted = await self._activate(
                who, connection, row, definition, reason, version=row.version or 0, draft=row.draft
            )
        self._outbox.post(*posted)

    async def disable(
        self, who: Principal, trigger_id: UUID, reason: str, revision: int | None = None
    ) -> None:
        """It decides about nothing any more; runs that began go on. Raises NeverPublished, RevisionConflict."""
        async with self._database.tenant(who.tenant_id) as connection:
            row = await locked(self._store, who.tenant_id, connection, trigger_id, revision)
            if row.definition is None:
                raise NeverPublished
            if row.status == "disabled":
                return
            posted = await self._stop(who, connection, row, ("disabled",), reason)
        self._outbox.post(*posted)

    async def delete(
        self, who: Principal, trigger_id: UUID, reason: str, revision: int | None = None
    ) -> None:
        """It is gone from every list, and decides about nothing any more; its runs and versions stay readable."""
        async with self._database.tenant(who.tenant_id) as connection:
            row = await locked(self._store, who.tenant_id, connection, trigger_id, revision)
            steps: tuple[Step, ...] = ("disabled", "deleted") if row.status == "published" else ("deleted",)
            posted = await self._stop(who, connection, row, steps, reason)
        self._outbox.post(*posted)

    async def _publish_new(
        self,
        who: Principal,
        connection: Connection,
        row: TriggerRow,
        definition: TriggerDefinition,
        reason: str,
        *,
        draft: str | None,
    ) -> Posted:
        version = row.latest_version + 1
        await self._store.insert_version(
            who.tenant_id,
            connection,
            row.trigger_id,
            version=version,
            definition=as_json(definition),
            by=who.name,
            reason=reason,
        )
        return await self._activate(who, connection, row, definition, reason, version=version, draft=draft)

    async def _activate(
        self,
        who: Principal,
        connection: Connection,
        row: TriggerRow,
        definition: TriggerDefinition,
        reason: str,
        *,
        version: int,
        draft: str | None,
    ) -> Posted:
        posted = await self._tell(connection, who, row, ("published",), version, reason)
        effective_after = await self._store.lock_lanes(connection)  # last, since all matching waits from here
        await self._store.activate(
            who.tenant_id,
            connection,
            row.trigger_id,
            name=row.name if draft else definition.name,
            version=version,
            event_type=definition.event_type,
            draft=draft,
            effective_after=effective_after,
            by=who.name,
        )
        types = {definition.event_type, row.event_type or definition.event_type}
        await self._store.mark_changed(who.tenant_id, connection, row.trigger_id, sorted(types))
        return posted

    async def _stop(
        self, who: Principal, connection: Connection, row: TriggerRow, steps: tuple[Step, ...], reason: str
    ) -> Posted:
        posted = await self._tell(connection, who, row, steps, row.version, reason)
        if row.status == "published":
            await self._store.lock_lanes(connection)
        await self._store.deactivate(
            who.tenant_id, connection, row.trigger_id, by=who.name, is_deleted="deleted" in steps
        )
        if row.status == "published" and row.event_type is not None:
            await self._store.mark_changed(who.tenant_id, connection, row.trigger_id, [row.event_type])
        return posted

    async def _tell(
        self,
        connection: Connection,
        who: Principal,
        row: TriggerRow,
        steps: Iterable[Step],
        version: int | None,
        reason: str,
    ) -> Posted:
        facts = [life_fact(step, who, row, version, reason) for step in steps]
        for step in steps:
            log.info(f"trigger_{step}", trigger_id=str(row.trigger_id), version=version, by=who.jti)
        messages = fact_messages(facts)
        return await self._outbox_store.insert(connection, messages), messages


def life_fact(step: Step, who: Principal, row: TriggerRow, version: int | None, reason: str) -> Event:
    """`automation.trigger_published`, `_disabled` or `_deleted`; its id belongs to this change of this trigger."""
    data = {"trigger_id": str(row.trigger_id), "version": version, "by": who.name, "reason": reason or None}
    return Event(
        id=str(derive(row.trigger_id, step, row.revision)),
        source=SOURCE,
        type=f"automation.trigger_{step}",
        tenantid=who.tenant_id,
        subject=f"trigger/{row.trigger_id}",
        time=datetime.now(UTC),
        data={name: value for name, value in data.items() if value is not None},
    )

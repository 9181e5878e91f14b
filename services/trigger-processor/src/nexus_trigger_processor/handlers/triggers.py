"""Triggers while they are edited: drafts, their checks, versions to look at, secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson

from nexus_shared.access.principal import Principal
from nexus_shared.database import Connection, Database
from nexus_shared.errors import Flaw, NexusError
from nexus_shared.ids import TenantId
from nexus_trigger_processor.domain.triggers import (
    OutsideChecks,
    TriggerDefinition,
    check,
    hints,
    read_definition,
)
from nexus_trigger_processor.handlers.action_secrets import ActionSecrets
from nexus_trigger_processor.handlers.telling import Sentence, about_definition, about_trigger
from nexus_trigger_processor.store.triggers import TriggerFilter, TriggerRow, TriggerStore, VersionRow

__all__ = [
    "ActionNotFound",
    "Judgement",
    "RevisionConflict",
    "Saved",
    "TriggerDefinition",
    "TriggerFilter",
    "TriggerNotFound",
    "TriggerView",
    "Triggers",
    "VersionNotFound",
    "VersionView",
]

MAX_NAME = 120
COPY = " (cópia)"


class TriggerNotFound(NexusError):
    """There is no such trigger; perhaps it was deleted."""

    status = 404
    slug = "trigger-not-found"
    title = "There is no such trigger"


class VersionNotFound(NexusError):
    """The trigger has no such version."""

    status = 404
    slug = "version-not-found"
    title = "The trigger has no such version"


class ActionNotFound(NexusError):
    """The trigger has no action with this key, neither in its draft nor in its published version."""

    status = 404
    slug = "action-not-found"
    title = "The trigger has no such action"


class RevisionConflict(NexusError):
    """Somebody changed the trigger meanwhile: it is at revision 5, you edited revision 4. Load it and edit again."""

    status = 412
    slug = "revision-conflict"
    title = "Somebody changed the trigger meanwhile"


@dataclass(frozen=True, slots=True)
class TriggerView:
    """A trigger as it is shown: its row, both definitions, and a sentence about the draft if there is one."""

    row: TriggerRow
    draft: Mapping[str, Any] | None
    published: Mapping[str, Any] | None
    sentence: Sentence | None


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved draft. `secrets`, by action key, were made for it and can be shown now only; `hints` are no flaws."""

    trigger: TriggerView
    secrets: Mapping[str, str] = field(repr=False)
    hints: Sequence[Flaw]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with a definition, what is doubtful, and what it would do."""

    flaws: Sequence[Flaw]
    hints: Sequence[Flaw]
    sentence: Sentence | None


@dataclass(frozen=True, slots=True)
class VersionView:
    row: VersionRow
    definition: Mapping[str, Any]
    sentence: Sentence | None


class Triggers:
    """Nothing here changes what fires; see Publishing."""

    def __init__(
        self, database: Database, store: TriggerStore, secrets: ActionSecrets, checks: OutsideChecks
    ) -> None:
        self._database, self._store, self._secrets, self._checks = database, store, secrets, checks

    async def find(self, tenant_id: TenantId, trigger_id: UUID) -> TriggerView:
        async with self._database.tenant(tenant_id) as connection:
            return await self._view(tenant_id, connection, trigger_id)

    async def page(
        self,
        tenant_id: TenantId,
        narrowed: TriggerFilter,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[TriggerView]:
        async with self._database.tenant(tenant_id) as connection:
            rows = await self._store.page(tenant_id, connection, narrowed, after, limit)
        return [view_of(row) for row in rows]

    def judge(self, document: object) -> Judgement:
        """A definition that is still being written, without saving anything."""
        flaws = check(document, self._checks)
        if flaws:
            return Judgement(flaws, [], None)
        definition = TriggerDefinition.model_validate(document)
        return Judgement([], hints(definition), about_definition(definition))

    async def create(self, who: Principal, document: object) -> Saved:
        """A new trigger, as a draft. Raises DefinitionInvalid."""
        definition = read_definition(document, self._checks)
        trigger_id = uuid4()
        async with self._database.tenant(who.tenant_id) as connection:
            await self._store.insert(
                who.tenant_id,
                connection,
                trigger_id,
                name=definition.name,
                draft=as_json(definition),
                by=who.name,
            )
            return await self._saved(who.tenant_id, connection, trigger_id, definition)

    async def replace(
        self, who: Principal, trigger_id: UUID, document: object, revision: int | None
    ) -> Saved:
        """Another draft. Raises DefinitionInvalid, TriggerNotFound, RevisionConflict."""
        definition = read_definition(document, self._checks)
        async with self._database.tenant(who.tenant_id) as connection:
            row = await locked(self._store, who.tenant_id, connection, trigger_id, revision)
            is_published_already = row.definition is not None and orjson.loads(
                row.definition
            ) == orjson.loads(as_json(definition))
            await self._store.save_draft(
                who.tenant_id,
                connection,
                trigger_id,
                name=definition.name,
                draft=None if is_published_already else as_json(definition),
                by=who.name,
            )
            return await self._saved(who.tenant_id, connection, trigger_id, definition)

    async def duplicate(self, who: Principal, trigger_id: UUID, name: str | None) -> Saved:
        """A new draft with the same definition and secrets of its own."""
        original = await self.find(who.tenant_id, trigger_id)
        document = dict(original.draft or original.published or {})
        document["name"] = name or original.row.name[: MAX_NAME - len(COPY)] + COPY
        return await self.create(who, document)

    async def versions(
        self, tenant_id: TenantId, trigger_id: UUID, before: int | None, limit: int
    ) -> list[VersionView]:
        async with self._database.tenant(tenant_id) as connection:
            await self._view(tenant_id, connection, trigger_id)
            rows = await self._store.versions(tenant_id, connection, trigger_id, before, limit)
        return [_version_view(row) for row in rows]

    async def version(self, tenant_id: TenantId, trigger_id: UUID, version: int) -> VersionView:
        """One version, of a deleted trigger too: runs lead here."""
        async with self._database.tenant(tenant_id) as connection:
            row = await self._store.version(tenant_id, connection, trigger_id, version)
        if row is None:
            raise VersionNotFound
        return _version_view(row)

    async def rotate_secret(self, who: Principal, trigger_id: UUID, action_key: str) -> str:
        """The new secret, to be shown once; the one before signs too for another day."""
        async with self._database.tenant(who.tenant_id) as connection:
            row = await locked(self._store, who.tenant_id, connection, trigger_id, None)
            view = view_of(row)
            if not any(action_key in _action_keys(document) for document in (view.draft, view.published)):
                raise ActionNotFound
            return await self._secrets.rotate(who.tenant_id, connection, trigger_id, action_key)

    async def _saved(
        self, tenant_id: TenantId, connection: Connection, trigger_id: UUID, definition: TriggerDefinition
    ) -> Saved:
        made = await self._secrets.settle(tenant_id, connection, trigger_id, definition)
        return Saved(await self._view(tenant_id, connection, trigger_id), made, hints(definition))

    async def _view(self, tenant_id: TenantId, connection: Connection, trigger_id: UUID) -> TriggerView:
        row = await self._store.find(tenant_id, connection, trigger_id)
        if row is None:
            raise TriggerNotFound
        return view_of(row)


async def locked(
    store: TriggerStore, tenant_id: TenantId, connection: Connection, trigger_id: UUID, revision: int | None
) -> TriggerRow:
    """The trigger, locked, if it still is at this revision (None: any). Raises TriggerNotFound, RevisionConflict."""
    row = await store.lock(tenant_id, connection, trigger_id)
    if row is None:
        raise TriggerNotFound
    if revision is not None and row.revision != revision:
        raise RevisionConflict(
            f"The trigger is at revision {row.revision}, you edited revision {revision}. Load it and edit again."
        )
    return row


def view_of(row: TriggerRow) -> TriggerView:
    draft = orjson.loads(row.draft) if row.draft else None
    published = orjson.loads(row.definition) if row.definition else None
    return TriggerView(row, draft, published, about_trigger(draft or published or {}))


def as_json(definition: TriggerDefinition) -> str:
    """The definition as it is stored: without secrets."""
    return orjson.dumps(definition.public()).decode()


def _version_view(row: VersionRow) -> VersionView:
    definition = orjson.loads(row.definition)
    return VersionView(row, definition, about_trigger(definition))


def _action_keys(document: Mapping[str, Any] | None) -> set[str]:
    return {action.get("key", "") for action in (document or {}).get("actions", ())}

"""Published triggers in memory, by tenant and event type, loaded when first needed and dropped when they change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from nexus_shared.database import Connection
from nexus_trigger_processor.domain.triggers import (
    CompiledTrigger,
    TriggerDefinition,
    compile_trigger,
    covers,
    is_pattern,
)
from nexus_trigger_processor.store.matching import LiveTrigger, MatchingStore

KEPT_KEYS = 200_000
"""(tenant, event type) pairs remembered, most of them without any trigger; the longest unused is forgotten."""

Key = tuple[str, str]


class Live(NamedTuple):
    trigger: CompiledTrigger
    name: str


class LiveTriggers:
    """What each batch decides by. Exact: see `refresh`."""

    def __init__(self, store: MatchingStore) -> None:
        self._store = store
        self._by_key: OrderedDict[Key, tuple[Live, ...]] = OrderedDict()
        self._revision: int | None = None

    def of(self, key: Key) -> tuple[Live, ...]:
        """The triggers of a key that was refreshed in this batch."""
        return self._by_key[key]

    async def refresh(self, connection: Connection, keys: Iterable[Key]) -> None:
        """After the batch's lanes are locked: forget what changed since the last batch, load what is missing.

        Publishing locks all lanes, so a trigger is either seen by a batch or begins after its events.
        """
        await self._forget_changed(connection)
        missing = []
        for key in keys:
            if key in self._by_key:
                self._by_key.move_to_end(key)
            else:
                missing.append(key)
        if missing:
            loaded: dict[Key, list[Live]] = {key: [] for key in missing}
            for row in await self._store.live_triggers(connection, missing):
                live = _compiled(row)
                for key in missing:
                    if key[0] == row.tenant_id and covers(row.event_type, key[1]):
                        loaded[key].append(live)
            self._by_key.update((key, tuple(live)) for key, live in loaded.items())
        while len(self._by_key) > KEPT_KEYS:
            self._by_key.popitem(last=False)

    async def _forget_changed(self, connection: Connection) -> None:
        if self._revision is None:
            self._revision = await self._store.newest_change(connection)
            return
        for revision, tenant_id, event_type in await self._store.changes_since(connection, self._revision):
            self._forget(tenant_id, event_type)
            self._revision = revision

    def _forget(self, tenant_id: str, event_type: str) -> None:
        if not is_pattern(event_type):
            self._by_key.pop((tenant_id, event_type), None)
            return
        for key in [key for key in self._by_key if key[0] == tenant_id and covers(event_type, key[1])]:
            del self._by_key[key]


def _compiled(row: LiveTrigger) -> Live:
    document = orjson.loads(row.definition)
    try:
        definition = TriggerDefinition.model_validate(document)
    except ValidationError:
        return Live(_broken(row), str(document.get("name", "")))
    return Live(
        compile_trigger(row.trigger_id, row.version, definition, row.effective_after), definition.name
    )


def _broken(row: LiveTrigger) -> CompiledTrigger:
    """A definition of another build that this one cannot read: it decides `error`, visibly."""
    return CompiledTrigger(
        row.trigger_id,
        row.version,
        row.event_type,
        row.effective_after,
        condition=None,
        actions=(),
        max_event_age=timedelta(),
        max_hops=0,
        broken="This version was written by another build and cannot be read; publish it again",
    )

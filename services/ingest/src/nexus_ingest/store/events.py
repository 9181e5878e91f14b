"""Tenants look into their own log: pages with filters, single events, stories, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from nexus_ingest.domain.browsing import Filters, Order, Progress, contains, like
from nexus_ingest.domain.content import Stored
from nexus_ingest.store.log import COLUMNS
from nexus_shared.database import Database
from nexus_shared.ids import TenantId

WINDOW = 20_000
"""Rows looked at for one page. A rare type in a long log is found over several pages, none of them slow."""

# Not `exists (…)`: that may be answered by hashing all keys there are, a scalar look-up never is.
_FIELDS = f"""{COLUMNS}, is_known,
    (select k.destroyed_at from subject_keys k where k.key_id = e.key_id) is not null as is_erased"""

_BY_ID = f"""
    select {_FIELDS} from automation_events e
     where tenant_id = $1 and event_id = $2 and ($3::text is null or source = $3)
     order by position desc limit 50
"""
_AT = f"select {_FIELDS} from automation_events e where tenant_id = $1 and position = $2"
# The index of stories leaves out the events that begin one, hence two look-ups.
_STORY_POSITIONS = """
    select position from automation_events
     where tenant_id = $1 and correlation_id = {story} and correlation_id <> event_id
     union all
    select position from automation_events
     where tenant_id = $1 and event_id = {story} and correlation_id = {story}
"""
_STORY = f"""
    select {_FIELDS} from (
        (select * from automation_events
          where tenant_id = $1 and correlation_id = $2 and correlation_id <> event_id and position > $3
          order by position limit $4)
        union all
        (select * from automation_events
          where tenant_id = $1 and event_id = $2 and correlation_id = $2 and position > $3
          order by position limit $4)
    ) e order by position limit $4
"""
# One statement, one snapshot: what is rolled up and what is not yet never overlap.
_COUNTS = """
    with rolled as (select position from roll_ups where name = 'event_counts'),
    counts as (
        select date_trunc($2, hour, $3) as starts_at, type, sum(events) as events from event_counts
         where tenant_id = $1 and hour >= $4 and hour < $5 group by 1, 2
        union all
        select date_trunc($2, recorded_at, $3), type, count(*) from automation_events
         where tenant_id = $1 and position > (select position from rolled)
           and recorded_at >= $4 and recorded_at < $5 group by 1, 2
    )
    select starts_at, type, sum(events)::bigint from counts group by 1, 2 order by 1, 2
"""
_PENDING = """
    select count(*), min(position), min(recorded_at) from automation_events
     where tenant_id = $1 and position > $2 and position > ($3::bigint[])[lane + 1]
       and recorded_at >= $4 and recorded_at < $5
"""
_QUARANTINED = """
    select count(*) from quarantine
     where tenant_id = $1 and status = 'open' and first_seen_at >= $2 and first_seen_at < $3
"""


class Found(NamedTuple):
    """A row of the log for a tenant's eyes. `is_erased`: its sealed part can never be opened again."""

    stored: Stored
    is_known: bool
    is_erased: bool


class Rows(NamedTuple):
    """A page, and the position at which looking stopped if the window ended before the page was full."""

    found: list[Found]
    stopped_at: int | None


class Pending(NamedTuple):
    """Events that trigger-processor has not read yet, and the oldest of them."""

    events: int
    position: int | None
    recorded_at: datetime | None


class EventStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        tenant_id: TenantId,
        filters: Filters,
        progress: Progress,
        *,
        after: int | None,
        order: Order,
        limit: int,
    ) -> Rows:
        """At most `limit` events beyond position `after`, in `order` of position."""
        query = _Query(tenant_id, filters, progress, after, order)
        async with self._database.tenant(tenant_id) as connection:
            rows = await connection.fetch(query.page(limit), *query.values)
            stopped_at = None
            if len(rows) < limit and query.is_windowed:
                stopped_at = await connection.fetchval(query.end_of_window(), *query.inside_values)
        return Rows(_found(rows), stopped_at)

    async def by_id(self, tenant_id: TenantId, event_id: str, source: str | None) -> list[Found]:
        """Newest first. An id is unique per source, and within the time that duplicates are known for."""
        async with self._database.tenant(tenant_id) as connection:
            return _found(await connection.fetch(_BY_ID, tenant_id, event_id, source))

    async def at(self, tenant_id: TenantId, position: int) -> Found | None:
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(_AT, tenant_id, position)
        return _found([row])[0] if row else None

    async def story(self, tenant_id: TenantId, correlation_id: str, after: int, limit: int) -> list[Found]:
        """All events of a correlation, in order."""
        async with self._database.tenant(tenant_id) as connection:
            return _found(await connection.fetch(_STORY, tenant_id, correlation_id, after, limit))

    async def counts(
        self,
        tenant_id: TenantId,
        interval: Literal["hour", "day"],
        zone: str,
        since: datetime,
        until: datetime,
    ) -> list[tuple[datetime, str, int]]:
        """(start of the interval in `zone`, type, events); both times are whole hours."""
        async with self._database.tenant(tenant_id) as connection:
            return [
                tuple(row) for row in await connection.fetch(_COUNTS, tenant_id, interval, zone, since, until)
            ]

    async def pending(
        self, tenant_id: TenantId, progress: Progress, since: datetime, until: datetime
    ) -> Pending:
        """What was recorded in this time and is not processed yet."""
        async with self._database.tenant(tenant_id) as connection:
            row = await connection.fetchrow(
                _PENDING, tenant_id, progress.floor, list(progress.lanes), since, until
            )
        assert row is not None
        return Pending(*row)

    async def quarantined(self, tenant_id: TenantId, since: datetime, until: datetime) -> int:
        """Open entries first seen in this time."""
        async with self._database.tenant(tenant_id) as connection:
            return int(await connection.fetchval(_QUARANTINED, tenant_id, since, until))


class _Query:
    """The statement of a page: conditions that an index answers inside, the others on a window of its rows."""

    def __init__(
        self, tenant_id: TenantId, filters: Filters, progress: Progress, after: int | None, order: Order
    ) -> None:
        self.values: list[Any] = [tenant_id]
        self._order = order
        self._inside, self._outside = ["tenant_id = $1"], ["true"]
        self._by_place(filters, after, progress)
        self._by_index(filters)
        self.inside_values = list(self.values)
        self._by_look(filters, progress)

    @property
    def is_windowed(self) -> bool:
        return len(self._outside) > 1

    def page(self, limit: int) -> str:
        return (
            f"select {_FIELDS} from ("
            f"select * from automation_events where {' and '.join(self._inside)}"
            f" order by position {self._order} limit {WINDOW}) e"
            f" where {' and '.join(self._outside)} order by position {self._order} limit {limit:d}"
        )

    def end_of_window(self) -> str:
        """The window's last position; nothing when the window is not full, that is, when it reached the end."""
        return (
            f"select position from automation_events where {' and '.join(self._inside)}"
            f" order by position {self._order} offset {WINDOW - 1} limit 1"
        )

    def _by_place(self, filters: Filters, after: int | None, progress: Progress) -> None:
        # An upper bound even where none was asked for: it spares the partitions made ahead.
        self._inside.append(
            f"recorded_at < coalesce({self._add(filters.until)}, now() + interval '1 minute')"
        )
        if filters.since is not None:
            self._inside.append(f"recorded_at >= {self._add(filters.since)}")
        if after is not None:
            self._inside.append(f"position {'<' if self._order == 'desc' else '>'} {self._add(after)}")
        if filters.status == "pending":
            self._inside.append(f"position > {self._add(progress.floor)}")

    def _by_index(self, filters: Filters) -> None:
        if filters.subject is not None:
            self._inside.append(f"subject = {self._add(filters.subject)}")
        if filters.correlation_id is not None:
            story = _STORY_POSITIONS.format(story=self._add(filters.correlation_id))
            self._inside.append(f"position in ({story})")

    def _by_look(self, filters: Filters, progress: Progress) -> None:
        if filters.types:
            patterns = self._add([like(pattern) for pattern in filters.types])
            self._outside.append(f"type like any({patterns}::text[])")
        if filters.is_known is not None:
            self._outside.append(f"is_known = {self._add(filters.is_known)}")
        if filters.text is not None:
            self._outside.append(f"data::text ilike {self._add(contains(filters.text))}")
        if filters.status is not None:
            lanes, floor = self._add(list(progress.lanes)), self._add(progress.floor)
            processed = f"(position <= {floor} or position <= ({lanes}::bigint[])[lane + 1])"
            self._outside.append(processed if filters.status == "processed" else f"not {processed}")

    def _add(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def _found(rows: Sequence[Any]) -> list[Found]:
    return [Found(Stored(*tuple(row)[:-2]), row["is_known"], row["is_erased"]) for row in rows]

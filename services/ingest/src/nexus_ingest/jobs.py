"""The loops of ingest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from nexus_ingest.handlers.api_keys import ApiKeys
from nexus_ingest.handlers.relaying import Relay
from nexus_ingest.handlers.tenants import Tenants
from nexus_ingest.handlers.watching import Watch
from nexus_ingest.store.api_keys import ApiKeyStore
from nexus_ingest.store.counts import CountStore
from nexus_ingest.store.log import LogStore
from nexus_shared.access.revocations import Revocations, refresh
from nexus_shared.jobs import Job

log = structlog.get_logger(__name__)

WEEKS_AHEAD = 8
ROLLED_UP_AT_ONCE = 20_000


def relaying(name: str, relay: Relay) -> Job:
    """New events go out; the relay to our own services is woken by every append of this process."""
    return Job(name, relay.once, period=0.05)


def partitions(store: LogStore, retention_weeks: int) -> Job:
    """Partitions are made eight weeks ahead, and detached when retention is over."""

    async def once() -> None:
        made = await store.make_partitions(WEEKS_AHEAD)
        gone = await store.detach_partitions(datetime.now(UTC) - timedelta(weeks=retention_weeks))
        if made or gone:
            log.info("partitions", made=made, detached=gone)

    return Job("partitions", once, period=3600)


def counting(store: CountStore) -> Job:
    """What was recorded is counted per tenant, type and hour."""

    async def once() -> bool:
        return await store.roll_up(ROLLED_UP_AT_ONCE) == ROLLED_UP_AT_ONCE

    return Job("counting", once, period=5.0)


def refusing(store: ApiKeyStore, revocations: Revocations) -> Job:
    """A key taken back at another instance is refused here within two seconds."""

    async def once() -> None:
        await refresh(revocations, store.revoked)

    return Job("refusing", once, period=2.0)


def listing(keys: ApiKeys) -> Job:
    """Every service is told the full list of revoked keys once a minute."""
    return Job("listing", keys.list_revocations, period=60.0)


def telling(tenants: Tenants) -> Job:
    """Settings that a crash left untold are told."""
    return Job("telling", tenants.sweep, period=5.0)


def watching(watch: Watch) -> list[Job]:
    """The relays' lag is measured; what lies where nothing should lie raises an alarm."""
    return [Job("lags", watch.lags, period=5.0), Job("alarms", watch.alarms, period=60.0)]

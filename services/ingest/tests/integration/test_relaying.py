"""What the relay puts on the lanes, seen by somebody who reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aio_pika
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

import nexus_ingest
from nexus_ingest.domain.door import Publisher as Speaker
from nexus_ingest.domain.frames import FRAME_BYTES
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers import relaying
from nexus_ingest.handlers.appending import Appender
from nexus_ingest.handlers.quarantine import Quarantine
from nexus_ingest.handlers.reading import LogReader
from nexus_ingest.handlers.recording import Recorder
from nexus_ingest.handlers.relaying import Relay, Resender, for_log
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.log import LogStore
from nexus_ingest.store.quarantine import QuarantineStore
from nexus_ingest.store.relays import RelayStore
from nexus_shared import strict_json
from nexus_shared.database import Database
from nexus_shared.envelope import Event
from nexus_shared.ids import TenantId
from nexus_shared.lanes import lane_of
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.sealing import MasterKeys
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.builders import TENANT, a_lead_created
from nexus_shared.testing.databases import FreshDatabases
from nexus_shared.topology import LOG, lane_key

pytestmark = pytest.mark.integration

MIGRATIONS = Path(nexus_ingest.__file__).parent / "migrations"
LANE = lane_of(TENANT, "lead/lead-1")


@dataclass
class Relaying:
    """An instance that records and relays, and a queue that gets the lane of lead 1."""

    recorder: Recorder
    relay: Relay
    resender: Resender
    lane: AbstractQueue

    async def record(self, *events: Event) -> None:
        items = [strict_json.inspect(event.as_dict()) for event in events]
        for verdict in await self.recorder.record(items, Speaker("crm", TenantId(TENANT))):
            assert verdict.answer is not None, verdict.refused

    async def arrived(self) -> list[AbstractIncomingMessage]:
        """What is in the queue, in order."""
        messages = []
        while (message := await self.lane.get(no_ack=True, fail=False)) is not None:
            messages.append(message)
        return messages


@pytest_asyncio.fixture
async def instance(
    fresh_database: FreshDatabases, fresh_vhost: Callable[..., TestVhost]
) -> AsyncIterator[Relaying]:
    clone, vhost, master = (
        await fresh_database("ingest", MIGRATIONS),
        fresh_vhost(),
        MasterKeys({"k1": bytes(32)}),
    )
    database = Database(clone.worker_url, clone.api_url, service="ingest")
    await database.open()
    publisher = Publisher(vhost.url_of("svc.ingest"), "test-relay")
    log, sealer, tail = LogStore(database, "test"), Sealer(KeyStore(database), master), Tail()
    relays, reader = RelayStore(database, owner="test"), LogReader(log, sealer, tail)
    recorder = Recorder(
        Appender(log, tail, on_append=lambda: None),
        sealer,
        Quarantine(QuarantineStore(database), master),
        digest_key=master.derived("digest"),
        clock=lambda: datetime.now(UTC),
        window=timedelta(days=35),
    )
    relay = Relay("log", for_log, relays=relays, log=reader, publisher=publisher, has_beacons=True)
    async with await aio_pika.connect(vhost.url) as connection:
        lane = await (await connection.channel()).declare_queue(exclusive=True)
        await lane.bind(LOG, lane_key(LANE))
        yield Relaying(recorder, relay, Resender(relays, reader, publisher), lane)
    await publisher.close()
    await database.close()


def place(message: AbstractIncomingMessage) -> tuple[object, object]:
    return message.headers["prev"], message.headers["last"]


async def test_a_relay_that_never_rests_still_tells_where_every_lane_ends(instance: Relaying) -> None:
    await instance.record(a_lead_created())

    is_busy = await instance.relay.once()

    assert is_busy
    assert [place(message) for message in await instance.arrived()] == [(0, 1), (1, 1)]


async def test_large_events_are_sent_again_in_frames_as_small_as_the_first_time(
    instance: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "BEACON_SECONDS", float("inf"))
    letter = "x" * 60_000
    notes = [a_lead_created(id=f"e-{n}", data={"message_first": letter}) for n in range(20)]
    await instance.record(*notes)
    while await instance.relay.once():
        pass
    first = await instance.arrived()
    await instance.relay.resign()  # saves how far it came

    assert await instance.resender.resend(LANE, 0) == 20

    again = await instance.arrived()
    assert [place(message) for message in again] == [place(message) for message in first]
    assert max(len(message.body) for message in again) < FRAME_BYTES * 1.1

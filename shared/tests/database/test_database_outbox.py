import asyncio
from typing import Any

import aio_pika
import pytest

from nexus_shared.database import outbox as outbox_module
from nexus_shared.database.outbox import Outbox, OutboxRow, OutboxStore
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.testing.brokers import TestVhost

pytestmark = pytest.mark.integration

TABLE = """
    create table "{0}".outbox (id bigint generated always as identity primary key, exchange text, key text,
        message_id text, content_type text, body bytea, created_at timestamptz not null default clock_timestamp());
    grant all on "{0}".outbox to "{0}"
"""


class Bench:
    """An outbox with its table and its queue."""

    def __init__(
        self, store: OutboxStore, database: Any, blank: Any, channel: Any, queue: str, url: str
    ) -> None:
        self.store, self.queue, self.url = store, queue, url
        self._database, self._blank, self._channel = database, blank, channel

    def rows(self, *bodies: str) -> list[OutboxRow]:
        return [OutboxRow("", self.queue, body, "text/plain", body.encode()) for body in bodies]

    async def committed(self, *bodies: str) -> tuple[list[int], list[OutboxRow]]:
        rows = self.rows(*bodies)
        async with self._database.transaction() as connection:
            return await self.store.insert(connection, rows), rows

    async def left(self) -> list[str]:
        return [
            bytes(row[0]).decode() for row in await self._blank.rows("select body from outbox order by id")
        ]

    async def is_empty(self) -> None:
        async with asyncio.timeout(5):
            while await self.left():
                await asyncio.sleep(0.02)

    async def arrived(self, count: int) -> list[str]:
        queue, found = await self._channel.get_queue(self.queue, ensure=False), []
        async with asyncio.timeout(5):
            while len(found) < count:
                if message := await queue.get(fail=False, no_ack=True):
                    found.append(message.body.decode())
        assert await queue.get(fail=False) is None
        return found


@pytest.fixture
async def bench(blank: Any, opened: Any, vhost: TestVhost) -> Any:
    await blank.execute(TABLE.format(blank.schema))
    database = await opened()
    async with await aio_pika.connect(vhost.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            f"test.{blank.schema}", durable=True, arguments={"x-queue-type": "quorum"}
        )
        yield Bench(OutboxStore(database), database, blank, channel, queue.name, vhost.url)


@pytest.fixture
async def publisher(vhost: TestVhost) -> Any:
    publisher = Publisher(vhost.url, "test")
    yield publisher
    await publisher.close()


NOWHERE = "amqp://guest:guest@127.0.0.1:9/"


async def test_what_was_committed_goes_out_in_order_and_is_deleted(
    bench: Bench, publisher: Publisher
) -> None:
    outbox = Outbox(bench.store, publisher)
    for start in range(0, 30, 10):
        outbox.post(*await bench.committed(*(str(n) for n in range(start, start + 10))))
    assert await bench.arrived(30) == [str(n) for n in range(30)]
    await bench.is_empty()


async def test_ids_are_those_of_the_rows_and_nothing_is_inserted_for_nothing(bench: Bench) -> None:
    ids, rows = await bench.committed(*(str(n) for n in range(100)))
    assert ids == sorted(ids)
    assert [row.message_id for row in rows] == await bench.left()
    assert await bench.committed() == ([], [])


async def test_what_a_rolled_back_transaction_wanted_to_say_is_never_said(bench: Bench) -> None:
    with pytest.raises(ValueError, match="no"):
        async with bench._database.transaction() as connection:
            await bench.store.insert(connection, bench.rows("x"))
            raise ValueError("no")
    assert await bench.left() == []


async def test_without_a_broker_messages_stay_and_the_sweep_sends_them_later(
    bench: Bench, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Outbox(bench.store, Publisher(NOWHERE, "test", timeout=0.2))
    away.post(*await bench.committed("a", "b"))
    away.post(*await bench.committed("c"))
    await away.close()
    assert await bench.left() == ["a", "b", "c"]
    outbox = Outbox(bench.store, publisher)
    assert await outbox.sweep() is False
    assert await bench.left() == ["a", "b", "c"], "they are young: somebody may be publishing them"
    monkeypatch.setattr(outbox_module, "LEFT_BEHIND_SECONDS", 0)
    assert await outbox.sweep() is False
    assert await bench.arrived(3) == ["a", "b", "c"]
    assert await bench.left() == []


async def test_the_sweep_says_when_there_is_more(
    bench: Bench, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "LEFT_BEHIND_SECONDS", 0)
    monkeypatch.setattr(outbox_module, "BATCH", 4)
    await bench.committed(*(str(n) for n in range(10)))
    outbox = Outbox(bench.store, publisher)
    assert [await outbox.sweep() for _ in range(3)] == [True, True, False]
    assert await bench.arrived(10) == [str(n) for n in range(10)]


async def test_after_trouble_new_messages_go_out_at_once(
    bench: Bench, publisher: Publisher, proxied: Any
) -> None:
    proxy, url = proxied
    shaky = Outbox(bench.store, Publisher(url, "test", timeout=0.3))
    proxy.cut()
    shaky.post(*await bench.committed("a"))
    await shaky.close()
    proxy.heal()
    shaky.post(*await bench.committed("b"))
    assert await bench.arrived(1) == ["b"]
    async with asyncio.timeout(5):
        while await bench.left() != ["a"]:
            await asyncio.sleep(0.02)


async def test_the_age_of_the_oldest_message_can_be_watched(bench: Bench) -> None:
    assert await bench.store.age_seconds() == 0
    await bench.committed("a")
    await asyncio.sleep(0.05)
    assert 0.04 < await bench.store.age_seconds() < 5

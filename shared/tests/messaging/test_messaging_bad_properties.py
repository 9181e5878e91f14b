"""What no client library would send, but a publisher can."""

import asyncio
import struct
from typing import Any

import aio_pika
import pytest
from aiormq import spec
from aiormq.abc import AbstractChannel

from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.messaging.tolerance import UNREADABLE

pytestmark = pytest.mark.integration

CONTENT_TYPE, HEADERS, TIMESTAMP = 0x8000, 0x2000, 0x0040


class RawText(str):
    """Text that goes out as the bytes it was made of, whatever they are."""

    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> "RawText":
        text = cls(raw.decode("latin-1"))
        text.raw = raw
        return text

    def encode(self, *_: Any) -> bytes:
        return self.raw


class RawProperties(spec.Basic.Properties):
    """Message properties given as bytes."""

    def __init__(self, flags: int, content: bytes) -> None:
        super().__init__(message_id="raw")
        self._wire = struct.pack(">H", flags) + content

    def marshal(self) -> bytes:
        return self._wire


def table(name: bytes, value: bytes) -> bytes:
    entry = bytes([len(name)]) + name + value
    return struct.pack(">I", len(entry)) + entry


def nested(depth: int) -> bytes:
    content = table(b"a", b"V")
    for _ in range(depth):
        content = table(b"a", b"F" + content)
    return content


class Arrived:
    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    async def prepare(self, batch: Any) -> Any:
        return batch

    async def commit(self, prepared: Any) -> None:
        self.deliveries += prepared


async def raw_channel(connection: aio_pika.abc.AbstractConnection) -> AbstractChannel:
    return await (await connection.channel()).get_underlay_channel()


async def read(broker: Any, running: Any, queue: str, count: int) -> list[Delivery]:
    handler = Arrived()
    reader = BatchReader(broker.url, [queue], handler, name="test", is_away=lambda _: False)
    async with running(reader):
        async with asyncio.timeout(5):
            while len(handler.deliveries) < count:
                await asyncio.sleep(0.01)
    return handler.deliveries


BAD = {
    "a content type that is no UTF-8": RawProperties(CONTENT_TYPE, b"\x02\xff\xfe"),
    "a time beyond the calendar": RawProperties(TIMESTAMP, b"\x7f" + b"\xff" * 7),
    "a time in microseconds": RawProperties(TIMESTAMP, struct.pack(">Q", 1_764_000_000_000_000)),
    "a header whose name is no UTF-8": RawProperties(HEADERS, table(b"\xff\xfe", b"V")),
    "headers nested deeply": RawProperties(HEADERS, nested(2_000)),
}


@pytest.mark.parametrize("properties", BAD.values(), ids=BAD.keys())
async def test_properties_that_cannot_be_decoded_do_not_end_the_connection(
    properties: RawProperties, broker: Any, running: Any
) -> None:
    queue = await broker.queue()
    async with await aio_pika.connect(broker.url) as connection:
        raw = await raw_channel(connection)
        await raw.basic_publish(b"bad", routing_key=queue, properties=properties)
    await broker.put(queue, "good", content_type="text/plain")
    bad, good = await read(broker, running, queue, 2)
    assert bad.body == b"bad"
    assert bad.content_type == UNREADABLE or not bad.content_type.isascii()
    assert (good.body, good.content_type) == (b"good", "text/plain")


async def test_a_routing_key_that_is_no_utf8_arrives_as_one_that_fits_nothing(
    broker: Any, running: Any
) -> None:
    queue = await broker.queue()
    await (await broker.channel.get_queue(queue)).bind("amq.topic", "clinica-sul.#")
    async with await aio_pika.connect(broker.url) as connection:
        raw = await raw_channel(connection)
        await raw.basic_publish(
            b"bad", exchange="amq.topic", routing_key=RawText.of(b"clinica-sul.lead.\xff")
        )
    await broker.put(queue, "good")
    bad, good = await read(broker, running, queue, 2)
    assert (bad.body, bad.key) == (b"bad", "clinica-sul.lead.�")
    assert good.body == b"good"

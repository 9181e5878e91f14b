"""The fault proxy does to a connection what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from nexus_shared.testing.faultproxy import Direction, FaultProxy

SOON = 0.15


class Client:
    """A connection through the proxy to a server that echoes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def echo(self, data: bytes, *, within: float = 2) -> bytes:
        self.writer.write(data)
        async with asyncio.timeout(within):
            return await self.reader.readexactly(len(data))


class Echo:
    """Sends back what it reads and remembers how it came."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                self.chunks.append(chunk)
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
def server() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(server: Echo) -> AsyncIterator[FaultProxy]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with FaultProxy("127.0.0.1", listener.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    listener.close()


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[Client]:
    connected = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
    await connected.echo(b"hello")
    yield connected
    connected.writer.transport.abort()


async def test_a_healthy_proxy_passes_everything(client: Client) -> None:
    data = bytes(range(256)) * 4000
    assert await client.echo(data) == data


async def test_latency_delays_both_directions(proxy: FaultProxy, client: Client) -> None:
    proxy.latency(0.05)
    started = time.perf_counter()
    await client.echo(b"ping")
    assert time.perf_counter() - started >= 0.1


async def test_a_cut_resets_open_connections_and_new_ones(proxy: FaultProxy, client: Client) -> None:
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await client.reader.read(1)

    later = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await later.echo(b"ping")


async def test_a_healed_cut_lets_new_connections_pass(proxy: FaultProxy, client: Client) -> None:
    proxy.cut()
    proxy.heal()
    again = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
    assert await again.echo(b"ping") == b"ping"
    again.writer.transport.abort()


async def test_a_black_hole_holds_until_it_is_healed(proxy: FaultProxy, client: Client, server: Echo) -> None:
    proxy.blackhole()
    with pytest.raises(TimeoutError):
        await client.echo(b"ping", within=SOON)
    assert server.chunks == [b"hello"]

    proxy.heal()
    assert await client.reader.readexactly(4) == b"ping"


async def test_half_open_loses_the_answer_and_not_the_request(
    proxy: FaultProxy, client: Client, server: Echo
) -> None:
    proxy.half_open(Direction.DOWN)
    with pytest.raises(TimeoutError):
        await client.echo(b"ping", within=SOON)
    assert server.chunks == [b"hello", b"ping"]


async def test_half_open_the_other_way_loses_the_request(
    proxy: FaultProxy, client: Client, server: Echo
) -> None:
    proxy.half_open(Direction.UP)
    with pytest.raises(TimeoutError):
        await client.echo(b"ping", within=SOON)
    assert server.chunks == [b"hello"]


async def test_a_rate_slows_a_transfer_down(proxy: FaultProxy, client: Client) -> None:
    proxy.rate(100_000)
    started = time.perf_counter()
    await client.echo(b"x" * 20_000)
    assert time.perf_counter() - started >= 0.2


async def test_slices_tear_a_frame(proxy: FaultProxy, client: Client, server: Echo) -> None:
    proxy.slices(3)
    assert await client.echo(b"0123456789") == b"0123456789"
    assert len(server.chunks) > 2


async def test_a_reset_comes_in_the_middle_of_a_transfer(proxy: FaultProxy, client: Client) -> None:
    proxy.reset_after(1000)
    await client.echo(b"x" * 900)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.echo(b"x" * 900)


async def test_a_server_that_is_away_shows_as_a_reset() -> None:
    closed = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    async with FaultProxy("127.0.0.1", port) as proxy:
        lonely = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await lonely.echo(b"ping")


async def test_a_stopped_proxy_comes_back_on_its_port(proxy: FaultProxy, client: Client) -> None:
    port = proxy.port
    await proxy.stop()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)

    await proxy.start()
    again = Client(*await asyncio.open_connection("127.0.0.1", port))
    assert await again.echo(b"ping") == b"ping"
    again.writer.transport.abort()

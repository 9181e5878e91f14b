"""A TCP proxy that misbehaves on request: between a client and PostgreSQL, RabbitMQ or a receiver of webhooks.

async with FaultProxy("127.0.0.1", 5672) as proxy:
    connect_to(proxy.port)
    proxy.blackhole()   # open connections stay open, nothing passes
    proxy.heal()        # what was held back arrives now, as after a network's return
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65536
_NO_LINGER = struct.pack("ii", 1, 0)


class Direction(StrEnum):
    UP = "client to server"
    DOWN = "server to client"


@dataclass(frozen=True)
class Faults:
    """What the proxy does now; the default is nothing."""

    held: frozenset[Direction] = frozenset()
    is_cut: bool = False
    latency_s: float = 0
    jitter_s: float = 0
    bytes_per_s: float = 0
    slice_bytes: int = 0
    reset_after_bytes: int = 0


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and forwards to `host`:`port` with the faults of the moment.

    Every method that sets a fault replaces the faults set before it; `heal` takes them all away.
    """

    def __init__(self, host: str, port: int, *, listen: int = 0, seed: int = 0) -> None:
        self._upstream = (host, port)
        self._listen = listen
        self._random = random.Random(seed)
        self._faults = Faults()
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> FaultProxy:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self._listen)

    async def stop(self) -> None:
        """Close every connection and stop listening; the port stays ours for a next `start`."""
        if self._server is None:
            return
        self._listen = self.port
        self._server.close()
        for link in list(self._links):
            link.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("The proxy does not listen: start it first.")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        return len(self._links)

    def heal(self) -> None:
        self._set(Faults())

    def latency(self, seconds: float, *, jitter: float = 0) -> None:
        """Delay every chunk, in both directions, by `seconds` ± `jitter`."""
        self._set(Faults(latency_s=seconds, jitter_s=jitter))

    def cut(self) -> None:
        """Reset every connection and every new one."""
        self._set(Faults(is_cut=True))
        self.reset()

    def reset(self) -> None:
        """Reset the open connections, once; new ones pass."""
        for link in list(self._links):
            link.reset()

    def blackhole(self) -> None:
        """Accept, keep open, let nothing pass."""
        self._set(Faults(held=frozenset(Direction)))

    def half_open(self, lost: Direction) -> None:
        """Let nothing pass in one direction: requests arrive and answers are lost, or the other way round."""
        self._set(Faults(held=frozenset({lost})))

    def rate(self, bytes_per_s: float) -> None:
        """Limit each direction of each connection."""
        self._set(Faults(bytes_per_s=bytes_per_s, slice_bytes=max(1, int(bytes_per_s / 20))))

    def slices(self, size: int) -> None:
        """Write in pieces of `size` bytes, so that frames arrive torn."""
        self._set(Faults(slice_bytes=size))

    def reset_after(self, count: int) -> None:
        """Reset a connection once `count` bytes have passed in one direction: in the middle of a frame."""
        self._set(Faults(reset_after_bytes=count))

    def _set(self, faults: Faults) -> None:
        self._faults = faults
        self._changed.set()
        self._changed = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._faults.is_cut:
            _reset(writer)
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            upstream = await asyncio.open_connection(*self._upstream)
        except OSError:
            _reset(writer)
            return
        # Cancelled by `stop` only; asyncio's streams would log a cancelled connection as an error.
        with contextlib.suppress(asyncio.CancelledError):
            await self._forward(_Link((reader, writer), upstream))

    async def _forward(self, link: _Link) -> None:
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(link, Direction.UP))
                both.create_task(self._pump(link, Direction.DOWN))
        finally:
            self._links.discard(link)
            link.close()

    async def _pump(self, link: _Link, direction: Direction) -> None:
        reader, writer = link.ends(direction)
        passed = 0
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._hold(direction)
                passed += len(chunk)
                limit = self._faults.reset_after_bytes
                if limit and passed > limit:
                    link.reset()
                    return
                await self._write(writer, chunk)
            await self._hold(direction)
            if not writer.is_closing():
                writer.write_eof()

    async def _hold(self, direction: Direction) -> None:
        while direction in self._faults.held:
            await self._changed.wait()
        if delay := self._faults.latency_s:
            jitter = self._faults.jitter_s
            await asyncio.sleep(max(0, delay + self._random.uniform(-jitter, jitter)))

    async def _write(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        faults = self._faults
        size = faults.slice_bytes or len(chunk)
        for start in range(0, len(chunk), size):
            piece = chunk[start : start + size]
            await asyncio.sleep(len(piece) / faults.bytes_per_s if faults.bytes_per_s else 0)
            writer.write(piece)
            await writer.drain()


class _Link:
    """One connection through the proxy: the client's end and the server's."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._client, self._server = client, server

    def ends(self, direction: Direction) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Where to read and where to write."""
        if direction is Direction.UP:
            return self._client[0], self._server[1]
        return self._server[0], self._client[1]

    def reset(self) -> None:
        for _, writer in (self._client, self._server):
            _reset(writer)

    def close(self) -> None:
        for _, writer in (self._client, self._server):
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: the peer sees an error, not an end of file."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()

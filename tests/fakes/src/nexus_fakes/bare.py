"""The same receiver without manners, for benchmarks: keeps up with several times what our sender can send.

Counts and keeps path, webhook-id and time of arrival only; always answers 200. Understands requests with a
Content-Length, `GET /_control/requests`, `GET /_control/stats` and `POST /_control/reset`.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from urllib.parse import parse_qs

from nexus_fakes.ledger import Delivery, Ledger

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_LENGTH_REQUIRED = b"HTTP/1.1 411 Length Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


async def listen(port: int, *, keep: int = 1_000_000, log: Path | None = None) -> asyncio.Server:
    """Listens on 127.0.0.1; port 0 takes a free one. The caller closes the server."""
    ledger = Ledger(keep, log)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Connection(ledger), "127.0.0.1", port, backlog=512)


class _Connection(asyncio.Protocol):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._pending + data if self._pending else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end]
            length = _header(head, b"content-length") or (b"0" if head.startswith(b"GET ") else b"")
            if not length.isdigit():
                self._transport.write(_LENGTH_REQUIRED)
                self._transport.close()
                return
            finish = end + 4 + int(length)
            if len(data) < finish:
                break
            self._transport.write(self._answer(head))
            data = data[finish:]
        self._pending = data

    def _answer(self, head: bytes) -> bytes:
        path = head[: head.find(b"\r\n")].split(b" ")[1].decode("latin-1")
        if path.startswith("/_control/"):
            return self._control(path)
        webhook_id = _header(head, b"webhook-id").decode("latin-1")
        self._ledger.add(Delivery(time.time(), path, webhook_id))
        return _OK

    def _control(self, path: str) -> bytes:
        name, _, query = path.removeprefix("/_control/").partition("?")
        if name == "reset":
            self._ledger.clear()
        text = json.dumps(self._requests(query) if name == "requests" else self._ledger.stats()).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(text),
            text,
        )

    def _requests(self, query: str) -> dict[str, object]:
        asked = parse_qs(query)
        return self._ledger.page(int(asked.get("after", ["0"])[0]), int(asked.get("limit", ["1000"])[0]))


def _header(head: bytes, name: bytes) -> bytes:
    start = head.lower().find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return (head[start:] if end < 0 else head[start:end]).strip()

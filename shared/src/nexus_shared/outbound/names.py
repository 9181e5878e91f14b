"""From a name to its addresses. The only place that asks the system's resolver for outbound calls."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from nexus_shared.outbound.addresses import IPAddress

Lookup = Callable[[str, int], Awaitable[list[IPAddress]]]
"""Addresses of a name, in the order to try. Raises OSError when there are none."""


class SystemNames:
    """`getaddrinfo` on threads of its own: a tenant's slow name server must not hold up anything but name look-ups."""

    def __init__(self, threads: int = 16) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> list[IPAddress]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _addresses, host, port)


def _addresses(host: str, port: int) -> list[IPAddress]:
    try:
        # As bytes, because for text Python would apply its own reading of international names.
        name = host.encode("ascii")
    except UnicodeEncodeError as error:
        raise OSError(f"'{host}' is not an ASCII name") from error
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [ip_address(sockaddr[0]) for _, _, _, _, sockaddr in found]

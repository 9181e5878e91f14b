"""The same guard for httpx clients, which the gateways use for their third parties' APIs (not for the hot path).

httpx offers no public way to say how a connection is made, so this sets the network backend of its transport's private
pool: httpx is pinned, and a test fails when an update moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from nexus_shared.outbound.addresses import IPAddress, OutboundPolicy, literal
from nexus_shared.outbound.names import Lookup, SystemNames


class JudgingBackend(httpcore.AsyncNetworkBackend):
    """Looks a name up once, judges every answer, connects to a judged one. TLS still proves the name."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend, policy: OutboundPolicy, lookup: Lookup) -> None:
        self._inner = inner
        self._policy = policy
        self._lookup = lookup

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """`timeout` in seconds is for look-up and all tries together. Raises OutboundRefused, ConnectError."""
        try:
            async with asyncio.timeout(timeout):
                addresses = self._policy.judge(host, port, await self._look_up(host, port))
                return await self._connect(addresses, port, timeout, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"'{host}' did not answer within {timeout} s") from error

    async def _look_up(self, host: str, port: int) -> list[IPAddress]:
        if (address := literal(host)) is not None:
            return [address]
        try:
            return await self._lookup(host.rstrip("."), port)
        except OSError as error:
            raise httpcore.ConnectError(f"'{host}' has no address") from error

    async def _connect(
        self,
        addresses: list[IPAddress],
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[Any] | None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError("There is no address to connect to")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("Sockets of this machine are not called")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """Judges the URL of every request, and of every redirect should a client follow one, then its connection."""

    def __init__(
        self, policy: OutboundPolicy, lookup: Lookup, limits: httpx.Limits, ssl: SSLContext | None
    ) -> None:
        super().__init__(verify=ssl or True, retries=0, limits=limits, trust_env=False)
        self._policy = policy
        inner = self._pool._network_backend
        self._pool._network_backend = JudgingBackend(inner, policy, lookup)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        self._policy.check_origin(url.scheme, url.raw_host.decode("ascii"), port)
        return await super().handle_async_request(request)


def guarded_client(
    policy: OutboundPolicy,
    *,
    timeout: httpx.Timeout,
    limits: httpx.Limits | None = None,
    ssl: SSLContext | None = None,
    lookup: Lookup | None = None,
    **options: Any,
) -> httpx.AsyncClient:
    """A client for addresses that tenants chose: no environment, no redirects. httpx's timeouts are per operation, so
    bound a whole call with `asyncio.timeout`, and its body by streaming. `options` go to httpx.AsyncClient.
    """
    limits = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20)
    transport = GuardedTransport(policy, lookup or SystemNames(), limits, ssl)
    return httpx.AsyncClient(
        transport=transport, timeout=timeout, trust_env=False, follow_redirects=False, **options
    )

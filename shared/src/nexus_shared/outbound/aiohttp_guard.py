"""An aiohttp session that cannot be led to an address we would not call.

Three walls, all public hooks of aiohttp: a middleware judges the URL of every request and redirect; the resolver judges
every answer of the one look-up, and aiohttp connects to an answer it returned, so no second look-up can differ; the
socket factory judges the address about to be connected, which includes address literals, for which aiohttp asks no
resolver. A kept connection is reused only for the same scheme, host and port, and its address was judged.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import ip_address
from ssl import SSLContext

from aiohttp import (
    AddrInfoType,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult

from nexus_shared.outbound.addresses import IPAddress, OutboundPolicy
from nexus_shared.outbound.names import Lookup, SystemNames

KEEP_ALIVE_SECONDS = 4.0
"""Shorter than what common servers wait (5 s), so that we rarely write on a connection that is just being closed."""


class JudgingResolver(AbstractResolver):
    """Looks a name up once and returns only what was judged; then judges again what is about to be connected."""

    def __init__(self, policy: OutboundPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        self._granted: set[tuple[IPAddress, int]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OutboundRefused when one answer may not be called, OSError when there is no answer."""
        name = host.rstrip(".")
        addresses = self._policy.judge(name, port, await self._lookup(name, port))
        if (name, port) in self._policy.allowed:
            self._granted.update((address, port) for address in addresses)
        return [_as_result(host, port, address) for address in addresses]

    def open_socket(self, target: AddrInfoType) -> socket.socket:
        """Raises OutboundRefused for an address that neither is public nor belongs to a name the operator allowed."""
        family, kind, protocol, _, sockaddr = target
        host, port = str(sockaddr[0]), int(sockaddr[1])
        address = ip_address(host)
        if (address, port) not in self._granted:
            self._policy.judge(host, port, [address])
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing to close: the look-up belongs to whoever made it."""


def guarded_session(
    policy: OutboundPolicy,
    *,
    timeout: ClientTimeout,
    limit: int = 256,
    limit_per_host: int = 0,
    ssl: SSLContext | None = None,
    lookup: Lookup | None = None,
) -> ClientSession:
    """A session for addresses that tenants chose; make it inside a running loop and close it.

    No proxy or netrc from the environment, no cookies, no decompression (a small answer could unpack to gigabytes).
    Pass `allow_redirects=False`; a redirect that is followed by mistake is judged like a first request.
    """
    resolver = JudgingResolver(policy, lookup or SystemNames())
    connector = TCPConnector(
        resolver=resolver,
        socket_factory=resolver.open_socket,
        limit=limit,
        limit_per_host=limit_per_host,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        ssl=ssl or True,
    )
    return ClientSession(
        connector=connector,
        timeout=timeout,
        skip_auto_headers=("Accept-Encoding",),
        cookie_jar=DummyCookieJar(),
        middlewares=(_judge_requests(policy),),
        trust_env=False,
        auto_decompress=False,
    )


def _judge_requests(policy: OutboundPolicy) -> ClientMiddlewareType:
    check = lru_cache(maxsize=1024)(policy.check_origin)

    async def judge(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        url = request.url
        check(url.scheme, url.raw_host or "", url.port or 0)
        return await send(request)

    return judge


def _as_result(host: str, port: int, address: IPAddress) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )

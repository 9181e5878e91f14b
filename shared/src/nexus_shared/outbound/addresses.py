"""Which addresses we call for a tenant. Pure: decides about URLs and addresses, looks nothing up.

The list of addresses is our own and not `is_global` alone, which calls `64:ff9b::a9fe:a9fe` (169.254.169.254 behind a
NAT64 gateway), `2002:7f00:1::`, `fec0::1` and all of multicast global.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NoReturn

from yarl import URL

from nexus_shared.errors import Flaw, NexusError

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
HostPort = tuple[str, int]

PORTS = frozenset({443, 8443})
MAX_URL = 2048
MAX_HOST = 253

_DENIED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, reachable from every guest
        "169.254.0.0/16",  # link local; metadata at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; metadata at 192.0.0.192
        "192.0.2.0/24",
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")
"""All global unicast ever assigned: whatever lies outside (NAT64, ::/96, fc00::, fe80::, fec0::, ff00::) is not."""
_DENIED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",
    )
)

_UNWRITABLE = re.compile(r"[\x00-\x20\x7f\\]")
_PLAIN_TARGET = re.compile(r"(?:[!$&-;=?-Z\[\]_a-z~]|%[0-9A-Fa-f]{2})*")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class OutboundRefused(NexusError):
    """This address is not called: the sentence says why and what to use instead; `code` is stable."""

    status = 422
    slug = "outbound-refused"
    title = "This address cannot be called"

    def __init__(self, detail: str, *, code: str, pointer: str = "") -> None:
        super().__init__(detail, flaws=[Flaw(pointer, detail, code)])
        self.code = code


def is_public(address: IPAddress) -> bool:
    """True when anyone on the internet could reach this address, so that we lend nobody our own position."""
    address = _unwrapped(address)
    if isinstance(address, IPv6Address):
        return (
            address in _UNICAST_V6
            and address.scope_id is None
            and address.is_global
            and not any(address in network for network in _DENIED_V6)
        )
    return address.is_global and not any(address in network for network in _DENIED_V4)


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """What may be called. `allowed`: host and port pairs, in lower case, that the operator lets through as they are,
    also by plain http and at a private address; `own_networks`: our public addresses, which tenants may not call.
    """

    allowed: frozenset[HostPort] = frozenset()
    own_networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def parse(cls, allowed: str = "", own_networks: str = "") -> OutboundPolicy:
        """From settings: "127.0.0.1:8099,[::1]:8099,waha:3000" and "203.0.113.0/28,…"; ValueError says what is off."""
        return cls(
            frozenset(_host_port(entry) for entry in _entries(allowed)),
            tuple(ip_network(entry) for entry in _entries(own_networks)),
        )

    def check(self, url: str) -> URL:
        """The URL to request, its host ASCII and canonical, its path as written. Raises OutboundRefused."""
        parsed = _parse(url)
        host = self.check_origin(parsed.scheme, parsed.raw_host or "", parsed.port or 0)
        return _request_url(url, parsed, host)

    def check_origin(self, scheme: str, host: str, port: int) -> str:
        """The canonical host, for scheme, ASCII host and port of a parsed URL. Raises OutboundRefused."""
        host = _canonical(host)
        if (host, port) in self.allowed:
            return host
        if scheme != "https":
            _refuse("scheme", "Use an address that starts with https://; plain http is not encrypted.")
        if port not in PORTS:
            _refuse_port(port)
        address = literal(host)
        if address is not None and not self._may_call(address):
            _refuse("address", f"'{host}' is not an address on the public internet.")
        if address is None and "." not in host:
            _refuse("host", f"'{host}' is not a public name. Use a full name such as hooks.example.com.")
        return host

    def flaws(self, url: str, pointer: str) -> list[Flaw]:
        """The same judgement for a form: no exception, at most one flaw, at `pointer`."""
        try:
            self.check(url)
        except OutboundRefused as refused:
            return [Flaw(pointer, str(refused), refused.code)]
        return []

    def judge(self, host: str, port: int, addresses: Iterable[IPAddress]) -> list[IPAddress]:
        """The addresses a name leads to, in order and once each. One that is not public refuses them all: otherwise a
        name with two answers would let chance decide which one is called. Raises OutboundRefused.
        """
        judged = list(dict.fromkeys(addresses))
        if (host.lower(), port) in self.allowed:
            return judged
        if port not in PORTS:
            _refuse_port(port)
        if not judged or not all(self._may_call(address) for address in judged):
            # The address stays out of the sentence: tenants read it, and our internal names are none of their business.
            _refuse("address", f"'{host}' leads to an address that is not on the public internet.")
        return judged

    def _may_call(self, address: IPAddress) -> bool:
        address = _unwrapped(address)
        return is_public(address) and not any(address in network for network in self.own_networks)


def _unwrapped(address: IPAddress) -> IPAddress:
    """::ffff:127.0.0.1 is 127.0.0.1."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _parse(url: str) -> URL:
    if len(url) > MAX_URL:
        _refuse("length", f"The address has {len(url)} characters; use at most {MAX_URL}.")
    if _UNWRITABLE.search(url):
        _refuse(
            "characters",
            "The address has spaces, line breaks, control characters or backslashes; remove them.",
        )
    if "#" in url:
        _refuse("fragment", "Remove the part from '#' on: it is never sent.")
    authority = re.split(r"[/?]", url.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        _refuse("userinfo", "Remove the user name and password from the address; send a header instead.")
    try:
        parsed = URL(url)
        parsed.port  # noqa: B018 - raises ValueError for a port out of range
    except (ValueError, UnicodeError):
        _refuse("url", "This is not an address we can read. Expected https://host/path.")
    if parsed.scheme not in ("http", "https") or not parsed.raw_host:
        _refuse("scheme", "Use an address that starts with https:// and names a host.")
    return parsed


def _canonical(host: str) -> str:
    """Lower-case ASCII name or canonical address; whatever a resolver could read otherwise is refused."""
    host = host.lower()
    address = literal(host)
    if address is not None:
        return str(address)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        _refuse(
            "host",
            f"'{host}' is a number in disguise. Write the address as four decimal numbers, or use a name.",
        )
    if len(host) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse(
            "host", f"'{host[:MAX_HOST]}' is not a host name. Use letters, digits, hyphens and single dots."
        )
    return host


def literal(host: str) -> IPAddress | None:
    """The address that a host is when it is no name; without a zone, which only means something on one machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id is not None else address


def _request_url(url: str, parsed: URL, host: str) -> URL:
    """Path and query byte for byte as written where that is possible: re-quoting breaks signed query strings."""
    rest = re.sub(r"^[^:]*://[^/?]*", "", url)
    if not _PLAIN_TARGET.fullmatch(rest):
        rest = parsed.raw_path_qs
    if not rest.startswith("/"):
        rest = "/" + rest
    bracketed = f"[{host}]" if ":" in host else host
    suffix = "" if parsed.is_default_port() else f":{parsed.port}"
    return URL(f"{parsed.scheme}://{bracketed}{suffix}{rest}", encoded=True)


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _host_port(entry: str) -> HostPort:
    host, _, port = entry.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"'{entry}' is not an allowed address. Expected host:port, such as 127.0.0.1:8099.")
    host = host.strip("[]").lower()
    address = literal(host)
    return (host if address is None else str(address), int(port))


def _refuse(code: str, sentence: str) -> NoReturn:
    raise OutboundRefused(sentence, code=code)


def _refuse_port(port: int) -> NoReturn:
    _refuse("port", f"Port {port} is not called. Use 443 or 8443.")

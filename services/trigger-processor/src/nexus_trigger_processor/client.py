"""Webhooks: one POST to a receiver of the tenant's choice, and what came of it.

`send` tries once and never raises for what a receiver does; when to try again is for `retries` to say. It also never
repeats a request on its own, not even on a connection that turns out to be closed: every attempt is on record first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Protocol
from uuid import UUID

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from nexus_shared.envelope import STRUCTURED
from nexus_shared.outbound.addresses import OutboundPolicy, OutboundRefused
from nexus_shared.outbound.aiohttp_guard import guarded_session
from nexus_shared.outbound.headers import header_flaws
from nexus_shared.outbound.names import Lookup
from nexus_shared.outbound.signing import sign
from nexus_trigger_processor.retries import Outcome, OutcomeKind, parse_retry_after, verdict

READ_LIMIT = 64 * 1024
STORE_LIMIT = 2 * 1024
USER_AGENT = f"Nexus-Automation/{version('nexus-trigger-processor')}"

_LATIN = frozenset({"iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252"})
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in range(32) if chr(code) not in "\t\n\r"}
_SHORTEST_SECRET = 6


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. `connect` includes waiting for a free connection, the look-up and TLS, and must be less than `total`:
    so whatever takes longer was sent. `body` is how long we read an answer whose status we already have.
    """

    connect: float = 5.0
    total: float = 15.0
    body: float = 2.0


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One attempt. `action_id` stays the same over attempts and becomes webhook-id; `at` (aware) is this attempt's.

    `secrets`: newest first, two while one is being replaced, none for an unsigned webhook. `headers`: the tenant's.
    """

    action_id: UUID | str
    url: str = field(repr=False)
    body: bytes = field(repr=False)
    at: datetime
    secrets: tuple[str, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content_type: str = STRUCTURED
    timeouts: Timeouts = DEFAULT_TIMEOUTS


class WebhookClient(Protocol):
    """Sends webhooks; the one third party of this service."""

    async def send(self, request: WebhookRequest) -> Outcome:
        """One attempt. Cancelling it leaves the outcome unknown."""
        ...

    async def close(self) -> None: ...


class AiohttpWebhookClient:
    """For the hot path. Make it inside the running loop; `connections` in all, `per_host` to one receiver (0: any).

    Callers keep fewer requests in flight than `connections`, else waiting for one counts as connecting.
    """

    def __init__(
        self,
        policy: OutboundPolicy,
        *,
        connections: int = 256,
        per_host: int = 0,
        user_agent: str = USER_AGENT,
        lookup: Lookup | None = None,
    ) -> None:
        self._user_agent = user_agent
        self._checked = lru_cache(maxsize=4096)(policy.check)
        self._session: ClientSession = guarded_session(
            policy,
            timeout=_client_timeout(DEFAULT_TIMEOUTS),
            limit=connections,
            limit_per_host=per_host,
            lookup=lookup,
        )

    async def send(self, request: WebhookRequest) -> Outcome:
        started = time.perf_counter()
        try:
            url, headers = self._checked(request.url), self._headers(request)
        except OutboundRefused as refused:
            return _without_answer(started, OutcomeKind.REFUSED, refused.code, str(refused))
        except ValueError as error:
            return _without_answer(started, OutcomeKind.FAILED_FINAL, "unsendable", str(error))
        try:
            return await self._attempt(request, url, headers, started)
        except (OutboundRefused, aiohttp.ClientError, TimeoutError, OSError) as error:
            return _failure(error, request.timeouts, started)

    async def close(self) -> None:
        await self._session.close()

    async def _attempt(
        self, request: WebhookRequest, url: URL, headers: dict[str, str], started: float
    ) -> Outcome:
        async with self._session.post(
            url,
            data=request.body,
            headers=headers,
            timeout=_client_timeout(request.timeouts),
            allow_redirects=False,
        ) as answer:
            latency_ms = _milliseconds_since(started)
            text = await _text_of(answer, request)
            return _judged(answer, text, latency_ms)

    def _headers(self, request: WebhookRequest) -> dict[str, str]:
        """Raises OutboundRefused for a header that tenants may not set, ValueError for what cannot be signed."""
        if request.headers and (flaws := header_flaws(request.headers, "/headers")):
            raise OutboundRefused(flaws[0].message, code="header", pointer=flaws[0].pointer)
        message_id = str(request.action_id)
        return {
            **request.headers,
            "User-Agent": self._user_agent,
            "Content-Type": request.content_type,
            "Idempotency-Key": message_id,
            **sign(request.secrets, message_id, request.at, request.body),
        }


@lru_cache(maxsize=256)
def _client_timeout(timeouts: Timeouts) -> ClientTimeout:
    return ClientTimeout(total=timeouts.total, connect=timeouts.connect)


def _judged(answer: ClientResponse, text: str, latency_ms: float) -> Outcome:
    kind, max_attempts = verdict(answer.status)
    wish = None if kind is OutcomeKind.SUCCEEDED else answer.headers.get("Retry-After")
    return Outcome(
        kind=kind,
        code=f"http_{answer.status}",
        reason=f"The receiver answered {answer.status}{_explanation(answer.status)}.",
        latency_ms=latency_ms,
        status=answer.status,
        response=text,
        retry_after=parse_retry_after(wish, datetime.now(UTC)) if wish else None,
        max_attempts=max_attempts,
    )


def _explanation(status: int) -> str:
    if 300 <= status < 400:
        return ", a redirect, which webhooks do not follow: enter the final address"
    return ", so it wants no more webhooks" if status == 410 else ""


def _failure(error: Exception, timeouts: Timeouts, started: float) -> Outcome:
    """No status came. Anything after the connection was made may have been received: unknown, not failed."""
    kind = OutcomeKind.FAILED_RETRYABLE
    code, reason = "connection", "The receiver could not be connected to."
    match error:
        case OutboundRefused():
            kind, code, reason = OutcomeKind.REFUSED, error.code, str(error)
        case aiohttp.InvalidURL():
            kind, code, reason = OutcomeKind.FAILED_FINAL, "url", "The address cannot be read."
        case aiohttp.ConnectionTimeoutError():
            code, reason = "connect_timeout", f"No connection to the receiver within {timeouts.connect:g} s."
        case aiohttp.ClientConnectorDNSError():
            code, reason = "dns", "The receiver's name has no address."
        case aiohttp.ClientSSLError():
            code, reason = "tls", "The receiver's certificate or encryption was not accepted."
        case aiohttp.ClientConnectorError():
            pass
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            kind, code = OutcomeKind.UNKNOWN, "not_http"
            reason = "The answer was not proper HTTP; the receiver may have got the webhook."
        case TimeoutError():
            kind, code = OutcomeKind.UNKNOWN, "timeout"
            reason = f"No answer within {timeouts.total:g} s; the receiver may have got the webhook."
        case _:
            kind, code = OutcomeKind.UNKNOWN, "connection_lost"
            reason = "The connection ended before an answer; the receiver may have got the webhook."
    return _without_answer(started, kind, code, reason)


def _without_answer(started: float, kind: OutcomeKind, code: str, reason: str) -> Outcome:
    return Outcome(kind=kind, code=code, reason=reason, latency_ms=_milliseconds_since(started))


async def _text_of(answer: ClientResponse, request: WebhookRequest) -> str:
    raw = await _beginning(answer, request.timeouts.body)
    if not raw:
        return ""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return "[compressed, although not asked for: not unpacked]"
    encoding = "cp1252" if (answer.charset or "").lower() in _LATIN else "utf-8"
    text = raw.decode(encoding, "replace").translate(_CONTROLS)
    return _cut(_redacted(text, request))


async def _beginning(answer: ClientResponse, seconds: float) -> bytes:
    """Up to READ_LIMIT bytes, most often all there with the head. aiohttp closes a connection with more to come."""
    content, read = answer.content, bytearray()
    try:
        if content.is_eof():
            return content.read_nowait()[:READ_LIMIT]
        async with asyncio.timeout(seconds):
            while len(read) < READ_LIMIT and (chunk := await content.read(READ_LIMIT - len(read))):
                read += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass  # the status is the answer; the text is only shown
    return bytes(read)


def _redacted(text: str, request: WebhookRequest) -> str:
    """Receivers like to repeat what they got; what opens doors must not be stored in clear because of that."""
    for value in _secrets_of(request):
        if value in text:
            text = text.replace(value, "[redacted]")
    return text


def _secrets_of(request: WebhookRequest) -> Iterable[str]:
    for value in (*request.secrets, *request.headers.values()):
        for part in (value, *value.split()):
            if len(part) >= _SHORTEST_SECRET:
                yield part
                yield part.replace("/", "\\/")  # as some languages write it in JSON


def _cut(text: str) -> str:
    encoded = text.encode()
    return text if len(encoded) <= STORE_LIMIT else encoded[:STORE_LIMIT].decode(errors="ignore")


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)

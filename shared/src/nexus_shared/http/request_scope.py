"""What surrounds every request: an id, its trace, security headers, a duration, and an answer when all else fails."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from time import perf_counter

import structlog
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars, unbind_contextvars

from nexus_shared.errors import RetryLater
from nexus_shared.http.problems import response_to, translated
from nexus_shared.observability import tracing

Headers = tuple[tuple[bytes, bytes], ...]
Observe = Callable[[Scope, int, float], None]

EVERYWHERE: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
API: Headers = (
    *EVERYWHERE,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)

RESTART = timedelta(seconds=5)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

log = structlog.stdlib.get_logger(__name__)


class RequestScope:
    """The outermost layer of an API, pure ASGI.

    Takes a caller's `X-Request-Id` if it is well formed, else makes one; it is bound to every log line, sent back,
    and named by problems. `durations` gets the seconds until the answer began, by method, route and status.
    """

    def __init__(self, app: ASGIApp, durations: Histogram) -> None:
        self._app = app
        self._durations = durations
        self._series: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id, traceparent = _identify(scope)
        scope["request_id"] = request_id
        answering = _Answering(scope, send, request_id, self._observe)
        bound = bind_contextvars(request_id=request_id)
        tracing.accept(traceparent)
        try:
            with tracing.span("http.request", traceparent):
                await self._app(scope, receive, answering.send)
        except asyncio.CancelledError:
            if answering.has_begun or not scope["app"].state.closing.is_set():
                raise
            stopping = RetryLater("The service is restarting. Send the same request again.", after=RESTART)
            await response_to(stopping, request_id)(scope, receive, answering.send)
        except Exception as failure:
            situation = translated(failure)
            if not answering.has_begun:
                await response_to(situation, request_id)(scope, receive, answering.send)
        finally:
            unbind_contextvars("tenant")
            reset_contextvars(**bound)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's template, never the path: paths hold ids.
        method, route = scope["method"], getattr(scope.get("route"), "path", "other")
        if tracing.is_on():
            tracing.describe(f"{method} {route}", **{"http.response.status_code": status})
        key = (method, route, status)
        series = self._series.get(key)
        if series is None:
            series = self._durations.labels(method if method in _METHODS else "OTHER", route, str(status))
            if method in _METHODS:
                self._series[key] = series
        series.observe(seconds)


class _Answering:
    """The way out of one request: adds the standing headers and notes when the answer begins."""

    __slots__ = ("_observe", "_scope", "_send", "_standing", "_started_at", "has_begun")

    def __init__(self, scope: Scope, send: Send, request_id: str, observe: Observe) -> None:
        self._scope = scope
        self._send = send
        self._observe = observe
        headers = API if scope["path"].startswith("/v1") else EVERYWHERE
        self._standing = (*headers, (b"x-request-id", request_id.encode()))
        self._started_at = perf_counter()
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            message["headers"] = _completed(message.get("headers", ()), self._standing)
            self._observe(self._scope, message["status"], perf_counter() - self._started_at)
        await self._send(message)


def _identify(scope: Scope) -> tuple[str, str | None]:
    request_id = traceparent = None
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent" and _TRACEPARENT.fullmatch(value):
            traceparent = value.decode()
    return request_id or os.urandom(8).hex(), traceparent


def _completed(headers: Iterable[tuple[bytes, bytes]], standing: Headers) -> list[tuple[bytes, bytes]]:
    """The headers of the answer and ours, unless the route has set one of them itself."""
    given = list(headers)
    if any(name == b"cache-control" or name == b"content-security-policy" for name, _ in given):
        taken = {name for name, _ in given}
        return given + [header for header in standing if header[0] not in taken]
    given.extend(standing)
    return given

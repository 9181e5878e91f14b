"""/health/live, /health/ready and /metrics: for orchestrators and Prometheus, not for the internet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

CHECK_SECONDS = 1.0

Readiness = Mapping[str, Callable[[], Awaitable[bool]]]

log = structlog.stdlib.get_logger(__name__)


def add_health(app: FastAPI, readiness: Readiness, registry: CollectorRegistry) -> None:
    """Adds the three routes; they stay out of the OpenAPI document."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        checks = dict(
            zip(readiness, await asyncio.gather(*map(_passes, readiness, readiness.values())), strict=True)
        )
        is_ready = all(checks.values()) and not request.app.state.closing.is_set()
        return JSONResponse(
            {"status": "ok" if is_ready else "unavailable", "checks": checks}, 200 if is_ready else 503
        )

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    for path, endpoint in (("/health/live", live), ("/health/ready", ready), ("/metrics", metrics)):
        app.add_route(path, endpoint, include_in_schema=False)


async def _passes(name: str, check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return bool(await check())
    except Exception as failure:
        log.warning("readiness_failed", check=name, error=type(failure).__name__)
        return False

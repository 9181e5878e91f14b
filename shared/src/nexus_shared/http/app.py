"""The application object of a service's HTTP side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException

from nexus_shared.access.tokens import TokenVerifier
from nexus_shared.errors import NexusError
from nexus_shared.http.body_limit import DEFAULT_LIMIT, BodyLimit
from nexus_shared.http.health import Readiness, add_health
from nexus_shared.http.openapi import RESPONSES, document_problems, unnamed
from nexus_shared.http.problems import answer
from nexus_shared.http.request_scope import RequestScope
from nexus_shared.observability.metrics import histogram

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


def create_api(
    *,
    title: str,
    service: str,
    routers: Iterable[APIRouter],
    lifespan: Lifespan | None = None,
    readiness: Readiness,
    registry: CollectorRegistry,
    access: TokenVerifier,
    body_limit: int = DEFAULT_LIMIT,
    body_limits: Mapping[str, int] | None = None,
) -> FastAPI:
    """The API of a service: its routers plus health, metrics, problems, limits and headers.

    `body_limit` is in bytes, `body_limits` overrides it for exact paths. `app.state.access` is the verifier that
    `requires` asks; `app.state.closing` is set when the server stops, so that endless answers end.
    """
    app = FastAPI(
        title=title,
        version="1",
        description=f"Public API of the service `{service}`.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=RESPONSES,
        generate_unique_id_function=unnamed,
        # Spans and metrics are ours (RequestScope): FastAPI's would hold query strings, which may name a person.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.access = access
    app.state.closing = asyncio.Event()
    for router in routers:
        app.include_router(router)
    add_health(app, readiness, registry)
    document_problems(app)
    for situation in (NexusError, HTTPException, RequestValidationError):
        app.add_exception_handler(situation, answer)
    durations = histogram(
        registry, "http_request_seconds", "Seconds until an answer began", ("method", "route", "status")
    )
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit=body_limit, by_path=body_limits)
    app.add_middleware(RequestScope, durations=durations)
    return app

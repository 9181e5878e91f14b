"""One way to build an API in these tests, and to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from structlog.testing import capture_logs

from nexus_shared.access.principal import Scope
from nexus_shared.access.tokens import TokenSigner, TokenVerifier, public_key_of
from nexus_shared.http.app import create_api
from nexus_shared.ids import TenantId
from nexus_shared.observability.metrics import new_registry

SEED = bytes(range(32))


@pytest.fixture
def build() -> Callable[..., FastAPI]:
    """An API around one router, with what else it is given."""

    def build_api(router: APIRouter, **options: Any) -> FastAPI:
        defaults: dict[str, Any] = {
            "title": "Nexus test",
            "service": "test",
            "routers": [router],
            "readiness": {},
            "registry": new_registry("test"),
            "access": TokenVerifier({"k1": public_key_of(SEED)}),
        }
        return create_api(**(defaults | options))

    return build_api


@pytest.fixture
def asking() -> Callable[[FastAPI], Any]:
    """An HTTP client of an app in this process: `async with asking(app) as client`."""

    @asynccontextmanager
    async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://nexus") as client:
            yield client

    return client_of


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The log lines written so far; nothing is printed."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def token() -> str:
    """A key that may do everything a tenant may."""
    scopes = set(Scope) - {Scope.TENANTS_MANAGE}
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    return TokenSigner("k1", SEED).issue("crm", TenantId("clinica-sul"), scopes, expires_at)[0]

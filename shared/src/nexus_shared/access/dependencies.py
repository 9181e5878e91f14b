"""FastAPI routes say what they need: `who: Annotated[Principal, requires(Scope.EVENTS_READ)]`."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from nexus_shared.access.principal import Principal, Scope
from nexus_shared.access.tokens import TokenRefused, TokenVerifier

log = structlog.stdlib.get_logger(__name__)


def authorise(request: Request, *scopes: Scope) -> Principal:
    """The principal of this request, if its key holds all the scopes. Raises TokenRefused (401), ScopeMissing (403).

    Only the Authorization header counts: a token in a URL ends up in logs and histories.
    """
    verifier: TokenVerifier = request.app.state.access
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused("no bearer token")
        principal = verifier.verify(token)
    except TokenRefused as refusal:
        log.info("token_refused", reason=refusal.reason)
        raise
    structlog.contextvars.bind_contextvars(tenant=principal.tenant_id)
    for scope in scopes:
        principal.require(scope)
    return principal


class Guard(SecurityBase):
    """A dependency that lets in whoever holds all of its scopes, and appears in OpenAPI as the scheme `ApiKey`."""

    def __init__(self, scopes: tuple[Scope, ...]) -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description="An API key: Authorization: Bearer …")
        self.scheme_name = "ApiKey"
        self._scopes = scopes

    async def __call__(self, request: Request) -> Principal:
        return authorise(request, *self._scopes)


def requires(*scopes: Scope) -> Any:
    """The dependency of a route: a valid key with all these scopes (none given: any valid key)."""
    return Security(Guard(scopes), scopes=[scope.value for scope in scopes])

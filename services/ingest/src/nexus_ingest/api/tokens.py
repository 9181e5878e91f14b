"""/v1/tokens: API keys of the tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from nexus_ingest.api.provided import provided
from nexus_ingest.api.shapes import PRINTABLE, Input
from nexus_ingest.handlers.api_keys import ApiKeys
from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import ROLES, Principal, Role, Scope
from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, Page
from nexus_shared.ids import TENANT_PATTERN

router = APIRouter(prefix="/v1/tokens", tags=["tokens"])

Manager = Annotated[Principal, requires(Scope.TOKENS_MANAGE)]
Handler = Annotated[ApiKeys, provided(ApiKeys)]
OfTenant = Annotated[
    str | None,
    Query(pattern=TENANT_PATTERN, description="Another tenant's keys: for keys of the platform only"),
]

PLACES = Cursor[tuple[AwareDatetime, UUID]](tuple[AwareDatetime, UUID])


class NewTokenIn(Input):
    name: str = Field(min_length=1, max_length=100, pattern=PRINTABLE, examples=["crm"])
    scopes: list[Scope] | None = Field(default=None, min_length=1, examples=[["events:write", "events:read"]])
    role: Role | None = Field(default=None, description="A usual set of scopes, instead of `scopes`")
    expires_at: AwareDatetime | None = Field(
        default=None, description="At most a year from now; a year if absent"
    )
    tenant_id: str | None = Field(
        default=None, pattern=TENANT_PATTERN, description="Another tenant: for keys of the platform only"
    )

    @model_validator(mode="after")
    def _says_what_it_may(self) -> NewTokenIn:
        if (self.scopes is None) == (self.role is None):
            raise ValueError("Expected either scopes or a role; send one of them")
        return self

    @property
    def granted(self) -> frozenset[Scope]:
        return frozenset(self.scopes) if self.scopes is not None else ROLES[self.role or Role.VIEWER]


class TokenOut(BaseModel):
    """An API key, without the token itself."""

    model_config = ConfigDict(from_attributes=True)

    jti: UUID = Field(description="Names the key; DELETE takes it back")
    name: str
    scopes: list[str]
    status: Literal["active", "expired", "revoked"]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None


class NewTokenOut(TokenOut):
    """A key just issued: `token` is shown this once."""

    tenant_id: str
    token: str = Field(description="Send it as `Authorization: Bearer …`")


@router.post("", status_code=201, operation_id="createToken")
async def create(who: Manager, keys: Handler, wanted: NewTokenIn) -> NewTokenOut:
    """Issues an API key. It can hold no scope that the key which creates it lacks."""
    tenant_id = await keys.reach(who, wanted.tenant_id)
    issued = await keys.issue(who, tenant_id, wanted.name, wanted.granted, wanted.expires_at)
    return NewTokenOut(**issued.key._asdict(), tenant_id=issued.tenant_id, token=issued.token)


@router.get("", operation_id="listTokens")
async def list_tokens(
    who: Manager,
    keys: Handler,
    tenant_id: OfTenant = None,
    cursor: CursorText = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TokenOut]:
    """API keys that were issued here, newest first, with those that no longer count."""
    before = PLACES.read(cursor)
    rows = await keys.page(await keys.reach(who, tenant_id), before=before, limit=limit + 1)
    page = PLACES.page(rows, limit, lambda key: (key.created_at, key.jti))
    return Page(items=[TokenOut.model_validate(key) for key in page.items], next_cursor=page.next_cursor)


@router.delete("/{jti}", status_code=204, operation_id="revokeToken")
async def revoke(who: Manager, keys: Handler, jti: UUID, tenant_id: OfTenant = None) -> None:
    """Takes a key back: here at once, in every service within five seconds."""
    await keys.revoke(who, await keys.reach(who, tenant_id), jti)

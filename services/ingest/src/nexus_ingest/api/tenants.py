"""/v1/tenants: clinics, made by the platform, configured by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from nexus_ingest.api.provided import provided
from nexus_ingest.api.shapes import PRINTABLE, Input
from nexus_ingest.handlers.tenants import CONFIGURED, TenantNotFound, Tenants
from nexus_shared import catalogue
from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, Page
from nexus_shared.ids import TENANT_PATTERN, TenantId

router = APIRouter(prefix="/v1/tenants", tags=["tenants"])

Platform = Annotated[Principal, requires(Scope.TENANTS_MANAGE)]
Handler = Annotated[Tenants, provided(Tenants)]
TheTenant = Annotated[str, Path(pattern=TENANT_PATTERN)]

IDS = Cursor[str](str)


def _settings_schema() -> dict[str, Any]:
    """The catalogue's schema of `tenant.configured`, written out: the document knows no definitions of it."""
    kind = catalogue.find(CONFIGURED)
    assert kind is not None
    schema = kind.data.model_json_schema()
    definitions = schema.pop("$defs", {})

    def written_out(part: Any) -> Any:
        if isinstance(part, list):
            return [written_out(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return written_out(definitions[part["$ref"].rpartition("/")[2]])
        return {name: written_out(value) for name, value in part.items()}

    return {**written_out(schema), "required": []}


Settings = Annotated[dict[str, Any], WithJsonSchema(_settings_schema())]
_EXAMPLE = {
    "tz": "America/Sao_Paulo",
    "business_hours": [{"weekday": 1, "opens": "08:00", "closes": "18:00"}],
    "quiet_hours": {"starts": "20:00", "ends": "08:00"},
}


class NewTenantIn(Input):
    tenant_id: str = Field(
        max_length=200,
        description="A slug or UUID, for ever: it stands in every event",
        examples=["clinica-sul"],
    )
    name: str = Field(min_length=1, max_length=200, pattern=PRINTABLE, examples=["Clínica Sul"])
    settings: Settings = Field(default={}, examples=[_EXAMPLE])


class TenantChangeIn(Input):
    """What is absent stays; a setting that is null is taken away."""

    name: str | None = Field(default=None, min_length=1, max_length=200, pattern=PRINTABLE)
    settings: Settings = Field(default={}, examples=[_EXAMPLE])


class TenantOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    tenant_id: str
    name: str
    settings: Settings
    is_active: bool
    revision: int = Field(description="How often it was configured")
    created_at: datetime
    updated_at: datetime


@router.post("", status_code=201, operation_id="createTenant")
async def create(_: Platform, tenants: Handler, wanted: NewTenantIn) -> TenantOut:
    """Makes a tenant and tells its settings as the fact `tenant.configured`."""
    return TenantOut.model_validate(await tenants.create(wanted.tenant_id, wanted.name, wanted.settings))


@router.get("", operation_id="listTenants")
async def list_tenants(
    _: Platform, tenants: Handler, cursor: CursorText = None, limit: Limit = DEFAULT_LIMIT
) -> Page[TenantOut]:
    """All tenants, by id."""
    rows = await tenants.page(after=IDS.read(cursor), limit=limit + 1)
    page = IDS.page(rows, limit, lambda tenant: tenant.tenant_id)
    return Page(items=[TenantOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{tenant_id}", operation_id="showTenant")
async def show(who: Annotated[Principal, requires()], tenants: Handler, tenant_id: TheTenant) -> TenantOut:
    """A tenant's settings, for every key of its own and for the platform."""
    return TenantOut.model_validate(await tenants.tenant(_reach(who, tenant_id)))


@router.patch("/{tenant_id}", operation_id="configureTenant")
async def configure(
    who: Annotated[Principal, requires(Scope.TENANT_WRITE)],
    tenants: Handler,
    tenant_id: TheTenant,
    wanted: TenantChangeIn,
) -> TenantOut:
    """Changes a tenant's settings and tells all of them as the fact `tenant.configured`."""
    tenant = await tenants.configure(_reach(who, tenant_id), wanted.name, wanted.settings)
    return TenantOut.model_validate(tenant)


def _reach(who: Principal, tenant_id: str) -> TenantId:
    """One's own tenant, or for the platform any."""
    if tenant_id != who.tenant_id and Scope.TENANTS_MANAGE not in who.scopes:
        raise TenantNotFound
    return TenantId(tenant_id)

"""/v1/events/erasures: a person asks to be forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from nexus_ingest.api.provided import provided
from nexus_ingest.api.shapes import PRINTABLE, Input
from nexus_ingest.handlers.erasure import Erasure
from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope

router = APIRouter(prefix="/v1/events", tags=["events"])


class ErasureIn(Input):
    person: str = Field(
        max_length=200,
        pattern=r"^[a-z_]+/[^\x00-\x1f\x7f]+$",
        description="As the events name it: patient/…, lead/…, contact/… or phone/+55…",
        examples=["patient/P-17"],
    )
    reason: str = Field(
        min_length=3,
        max_length=500,
        pattern=PRINTABLE,
        examples=["Pedido da titular em 23/11/2026, protocolo 88"],
    )


class ErasedOut(BaseModel):
    """`position` is that of the fact `contact.erased`."""

    model_config = ConfigDict(from_attributes=True)

    erased_at: datetime
    position: int


@router.post("/erasures", operation_id="erasePerson")
async def erase(
    who: Annotated[Principal, requires(Scope.TENANT_WRITE)],
    erasure: Annotated[Erasure, provided(Erasure)],
    wanted: ErasureIn,
) -> ErasedOut:
    """Destroys the keys of a person: the personal part of all events about them can never be read again.

    There is no way back. Asking again is the same.
    """
    return ErasedOut.model_validate(
        await erasure.erase(who.tenant_id, wanted.person, wanted.reason, who.name)
    )

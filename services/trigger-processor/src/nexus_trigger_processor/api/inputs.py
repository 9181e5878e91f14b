"""What the routes take: texts that can be stored, revisions in If-Match, definitions read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from nexus_shared import strict_json
from nexus_shared.errors import InputInvalid, NexusError
from nexus_trigger_processor.handlers.triggers import TriggerDefinition

NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"

Word = Annotated[str | None, Query(max_length=200, pattern=NO_CONTROLS)]
"""A filter's value: a word or an id."""
Moment = Annotated[AwareDatetime | None, Query()]
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
Reason = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$", strip_whitespace=True)]
Reveal = Annotated[bool, Query(description="Show personal values; needs the scope runs:write")]

_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"|(\d{1,9})')


class RevisionMissing(NexusError):
    """Send If-Match with the revision you edited: the ETag you got with the trigger."""

    status = 428
    slug = "revision-missing"
    title = "Which revision did you edit?"

    def __init__(self) -> None:
        super().__init__("Send If-Match with the revision you edited: the ETag you got with the trigger.")


class RevisionUnreadable(NexusError):
    """If-Match is not one of our ETags, such as "4"."""

    status = 400
    slug = "revision-unreadable"
    title = "If-Match is not one of our ETags"


class Given(BaseModel):
    """A small request body; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Why(Given):
    """Why somebody did it, kept with the version or the run."""

    reason: Reason = Field(default="", description="In a sentence, for whoever looks at it later")


NO_REASON = Why()


def _revision(if_match: Annotated[str | None, Header(max_length=40)] = None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise RevisionUnreadable
    return int(found[1] or found[2])


def _needed_revision(if_match: Annotated[str | None, Header(max_length=40)] = None) -> int | None:
    if if_match is None:
        raise RevisionMissing
    return _revision(if_match)


Revision = Annotated[int | None, Depends(_revision)]
"""The revision that must still be there; None where the caller does not mind."""
NeededRevision = Annotated[int | None, Depends(_needed_revision)]
"""The same, but the caller has to say: "*" for any."""


async def _document(request: Request) -> Any:
    """The body as JSON without what cannot be stored (NUL, half surrogates, huge numbers, repeated keys)."""
    items, is_array = strict_json.load(await request.body())
    if is_array:
        raise InputInvalid("Send one definition, a JSON object")
    if items[0].flaw is not None:
        raise InputInvalid("The definition cannot be stored", flaws=[items[0].flaw])
    return items[0].value


Document = Annotated[Any, Depends(_document)]
"""A trigger's definition as it was sent."""


def _inlined(schema: Any, named: Mapping[str, Any]) -> Any:
    """A JSON schema without references: in an OpenAPI document `#/$defs` would lead nowhere."""
    if isinstance(schema, list):
        return [_inlined(each, named) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(named[schema["$ref"].rpartition("/")[2]], named)
    return {key: _inlined(value, named) for key, value in schema.items() if key != "$defs"}


def _definition_schema() -> Any:
    schema = TriggerDefinition.model_json_schema()
    return _inlined(schema, schema.get("$defs", {}))


DEFINITION = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _definition_schema()}}}
}
"""For OpenAPI: the body of a route that takes a Document."""

"""Errors as problem+json (RFC 9457): what is wrong and what to do, and never the input back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import asyncpg
import orjson
import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from nexus_shared.errors import NexusError, StoreAway

PROBLEM = "application/problem+json"
TYPE_PREFIX = "urn:nexus:problem:"

log = structlog.stdlib.get_logger(__name__)


class ProblemError(BaseModel):
    """One thing that is wrong with the request."""

    model_config = ConfigDict(populate_by_name=True)

    pointer: str = Field(
        description='JSON pointer into the body ("" is the whole), or "/name" of a parameter'
    )
    message: str = Field(description="What was expected and what to do")
    code: str = Field(description="Stable name of the kind of mistake")
    place: Literal["query", "path", "header", "cookie"] | None = Field(
        default=None, alias="in", description="Where the parameter is; absent for the body"
    )


class Problem(BaseModel):
    """An error (RFC 9457). `instance` names this one occurrence; quote it when you ask for help."""

    type: str = Field(
        description="Stable identifier of the kind of problem", examples=[f"{TYPE_PREFIX}validation"]
    )
    title: str = Field(description="The kind of problem in a few words")
    status: int = Field(description="The HTTP status")
    detail: str | None = Field(default=None, description="What happened this time and what to do")
    instance: str | None = Field(default=None, examples=["urn:nexus:request:4f1c0a5e9b7d4c3a"])
    errors: list[ProblemError] | None = Field(default=None, description="Each thing that is wrong")


def instance_of(request_id: str) -> str:
    return f"urn:nexus:request:{request_id}"


async def answer(request: Request, failure: Exception) -> Response:
    """The exception handler of every API."""
    return response_to(failure, request.scope.get("request_id"))


def response_to(failure: Exception, request_id: str | None) -> Response:
    """The answer to a failure; whatever is not one of our situations is a 500 that says nothing."""
    problem = problem_of(failure)
    problem.instance = instance_of(request_id) if request_id else None
    told = problem.model_dump(exclude_none=True, by_alias=True)
    headers = getattr(failure, "headers", None) or {}
    return Response(orjson.dumps(told), problem.status, headers=headers, media_type=PROBLEM)


def problem_of(failure: Exception) -> Problem:
    match failure:
        case NexusError():
            return _of_situation(failure)
        case HTTPException():
            return _of_status(failure)
        case RequestValidationError():
            return _of_validation(failure.errors())
        case _:
            return _of_situation(NexusError())


def is_store_away(failure: BaseException) -> bool:
    """True where PostgreSQL cannot be reached, is starting, stopping or full, or the pool is closed or exhausted.

    InterfaceError also stands for mistakes of ours (wrong number of arguments), hence the look at its text.
    """
    if isinstance(failure, asyncpg.InterfaceError):
        return any(word in str(failure) for word in ("is closed", "is closing", "connection was closed"))
    return isinstance(failure, _AWAY)


_AWAY = (
    OSError,  # refused, reset, unknown host, and TimeoutError: acquiring a connection took too long
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,  # a failover has made our server a replica
)


def translated(failure: Exception) -> Exception:
    """A failure of the store as the situation it is; everything else unchanged. Logs what nobody expected."""
    if isinstance(failure, NexusError):
        return failure
    if is_store_away(failure):
        log.warning("store_away", exc_info=failure)
        return StoreAway()
    log.error("request_crashed", exc_info=failure)
    return failure


def _of_situation(failure: NexusError) -> Problem:
    errors = [ProblemError(**flaw.as_dict()) for flaw in failure.flaws]
    return _problem(failure.status, failure.slug, failure.title, str(failure), errors)


def _of_status(failure: HTTPException) -> Problem:
    try:
        title = HTTPStatus(failure.status_code).phrase
    except ValueError:
        title = "Error"
    detail = failure.detail if isinstance(failure.detail, str) else title
    return _problem(failure.status_code, title.lower().replace(" ", "-"), title, detail)


def _of_validation(mistakes: Sequence[Any]) -> Problem:
    errors = [_error(mistake) for mistake in mistakes]
    detail = f"{len(errors)} thing{'s are' if len(errors) > 1 else ' is'} wrong with the request; see errors."
    return _problem(422, "validation", "The request is not valid", detail, errors)


def _problem(
    status: int, slug: str, title: str, detail: str, errors: list[ProblemError] | None = None
) -> Problem:
    return Problem(
        type=TYPE_PREFIX + slug,
        title=title,
        status=status,
        detail=detail if detail != title else None,
        errors=errors or None,
    )


def _error(mistake: Mapping[str, Any]) -> ProblemError:
    code, (place, *path) = mistake["type"], mistake["loc"]
    if code == "json_invalid":
        path = []  # it holds an offset, not a place in a document
    return ProblemError(
        pointer="".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path),
        message=_MESSAGES.get(code, _own_words)(mistake),
        code=code,
        place=None if place == "body" else place,
    )


# Pydantic's own words are kept where they cannot quote the input; these can.
def _own_words(mistake: Mapping[str, Any]) -> str:
    return str(mistake["msg"])


def _without_input(mistake: Mapping[str, Any]) -> str:
    message = str(mistake["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    for leaf in sorted(_leaves(mistake.get("input"), 5), key=len, reverse=True):
        message = message.replace(leaf, "…")
    return message


def _leaves(value: Any, depth: int) -> set[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return set().union(*(_leaves(inner, depth - 1) for inner in value[:100])) if depth else set()
    text = str(value) if isinstance(value, str | int | float) else ""
    return {text} if len(text) > 2 else set()


_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "value_error": _without_input,
    "assertion_error": _without_input,
    "json_invalid": lambda mistake: f"The body is not JSON (near character {mistake['loc'][-1]})",
    "uuid_parsing": lambda _: "Input should be a valid UUID",
    "union_tag_invalid": lambda mistake: f"Input should be one of {mistake['ctx']['expected_tags']}",
}

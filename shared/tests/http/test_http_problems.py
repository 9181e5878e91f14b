from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import pytest
from fastapi import APIRouter, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, field_validator

from nexus_shared.errors import Flaw, InputInvalid, NexusError
from nexus_shared.http.problems import is_store_away

SECRET = "Maria-11987654321"


class Sms(BaseModel):
    kind: Literal["sms"]
    phone: str


class Mail(BaseModel):
    kind: Literal["mail"]
    address: str


class Contact(BaseModel):
    model_config = ConfigDict(extra="forbid")

    age: int = 0
    contact_id: UUID | None = None
    nick: str = Field(default="ok", pattern="^[a-z]{1,8}$")
    tags: list[int] = []
    by_name: dict[str, int] = {}
    way: Annotated[Sms | Mail, Field(discriminator="kind")] | None = None
    number: str = ""

    @field_validator("number")
    @classmethod
    def digits(cls, value: str) -> str:
        if value:
            int(value)
        return value


class TriggerNotFound(NexusError):
    """There is no trigger 'x'."""

    status = 404
    slug = "trigger-not-found"
    title = "There is no such trigger"


FAILURES: dict[str, Callable[[], Exception]] = {
    "situation": lambda: TriggerNotFound("There is no trigger 'lembrete'. List them with GET /v1/triggers."),
    "flaws": lambda: InputInvalid(
        "Two clauses do not fit", flaws=[Flaw("/conditions/0/value", "Expected a number", "type")]
    ),
    "bug": lambda: KeyError(SECRET),
    "http": lambda: HTTPException(409, "Ask again"),
    "refused": lambda: ConnectionRefusedError(111, "Connection refused"),
    "acquire": lambda: TimeoutError(),
    "closed": lambda: asyncpg.InterfaceError("pool is closing"),
    "gone": lambda: asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    "starting": lambda: asyncpg.CannotConnectNowError("the database system is starting up"),
    "arguments": lambda: asyncpg.InterfaceError(
        "the server expects 2 arguments for this query, 1 was passed"
    ),
}

router = APIRouter()


@router.post("/contacts", operation_id="createContact")
async def create(contact: Contact) -> str:
    return contact.nick


@router.get("/find", operation_id="find")
async def find(limit: Annotated[int, Query(le=200)], x_page: Annotated[int, Header()] = 1) -> int:
    return limit


@router.get("/fail/{how}", operation_id="fail")
async def fail(how: str) -> None:
    raise FAILURES[how]()


@pytest.fixture
def app(build: Any) -> FastAPI:
    return build(router)  # type: ignore[no-any-return]


async def test_a_situation_is_told_with_its_slug_and_what_to_do(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.get("/fail/situation", headers={"X-Request-Id": "call-1234"})

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:nexus:problem:trigger-not-found",
        "title": "There is no such trigger",
        "status": 404,
        "detail": "There is no trigger 'lembrete'. List them with GET /v1/triggers.",
        "instance": "urn:nexus:request:call-1234",
    }


async def test_flaws_become_errors_with_pointers(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.get("/fail/flaws")

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/conditions/0/value", "message": "Expected a number", "code": "type"}
    ]


async def test_a_crash_hides_its_detail_and_is_logged(
    app: FastAPI, asking: Any, logged: list[dict[str, Any]]
) -> None:
    async with asking(app) as client:
        answer = await client.get("/fail/bug")

    assert answer.status_code == 500
    assert set(answer.json()) == {"type", "title", "status", "instance"}
    assert SECRET not in answer.text
    assert [line["event"] for line in logged] == ["request_crashed"]
    assert isinstance(logged[0]["exc_info"], KeyError)


async def test_a_crash_carries_the_same_headers_as_any_answer(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.get("/fail/bug", headers={"X-Request-Id": "call-1234"})

    assert answer.headers["x-request-id"] == "call-1234"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("how", ["refused", "acquire", "closed", "gone", "starting"])
async def test_a_store_that_is_away_asks_to_come_again(app: FastAPI, asking: Any, how: str) -> None:
    async with asking(app) as client:
        answer = await client.get(f"/fail/{how}")

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:nexus:problem:store-away")
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_mistake_of_ours_with_the_driver_is_no_absence_of_the_store(
    app: FastAPI, asking: Any
) -> None:
    async with asking(app) as client:
        answer = await client.get("/fail/arguments")

    assert answer.status_code == 500
    assert not is_store_away(FAILURES["arguments"]())


async def test_plain_http_errors_are_problems_too(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        missing, wrong_method, raised = (
            await client.get("/nowhere"),
            await client.delete("/find"),
            await client.get("/fail/http"),
        )

    assert (missing.status_code, missing.json()["type"]) == (404, "urn:nexus:problem:not-found")
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "GET")
    assert raised.json()["detail"] == "Ask again"


async def test_invalid_input_is_pointed_at_but_never_returned(app: FastAPI, asking: Any) -> None:
    hostile = {
        "age": SECRET,
        "contact_id": SECRET,
        "nick": SECRET,
        "tags": [1, SECRET],
        "by_name": {"a/b~c": SECRET},
        "way": {"kind": SECRET, "phone": SECRET},
        "number": SECRET,
        "more": SECRET,
    }
    async with asking(app) as client:
        answer = await client.post("/contacts", json=hostile)

    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {
        "/age",
        "/contact_id",
        "/nick",
        "/tags/1",
        "/by_name/a~1b~0c",
        "/way",
        "/number",
        "/more",
    }
    assert SECRET not in answer.text
    assert all(error["message"] and error["code"] for error in answer.json()["errors"])


async def test_a_message_of_our_own_validator_loses_the_value_it_quotes(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.post("/contacts", json={"number": SECRET})

    assert answer.json()["errors"][0]["message"] == "invalid literal for int() with base 10: '…'"


async def test_an_id_that_is_none_is_not_quoted_letter_by_letter(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.post("/contacts", json={"contact_id": "§"})

    assert answer.json()["errors"][0]["message"] == "Input should be a valid UUID"
    assert "§" not in answer.text


async def test_what_is_not_json_is_named_without_being_quoted(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.post(
            "/contacts", content=f'{{"nick": {SECRET}', headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "", "message": "The body is not JSON (near character 9)", "code": "json_invalid"}
    ]


async def test_parameters_say_where_they_stand(app: FastAPI, asking: Any) -> None:
    async with asking(app) as client:
        answer = await client.get("/find", params={"limit": 999}, headers={"X-Page": SECRET})

    assert [(error["in"], error["pointer"]) for error in answer.json()["errors"]] == [
        ("query", "/limit"),
        ("header", "/x-page"),
    ]
    assert SECRET not in answer.text


async def test_openapi_documents_problems_and_not_fastapis_own_errors(app: FastAPI) -> None:
    document = app.openapi()

    responses = document["paths"]["/contacts"]["post"]["responses"]
    assert set(responses) == {"200", "default"}
    assert responses["default"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    assert {"Problem", "ProblemError"} <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorInvalid, CursorText, Limit, Page

EVENTS = Cursor(int)
RUNS: Cursor[tuple[datetime, UUID]] = Cursor(tuple[AwareDatetime, UUID])
TRIGGERS: Cursor[tuple[str, UUID]] = Cursor(tuple[str, UUID])
RUN = UUID("0192d3f0-0000-7000-8000-000000000001")

router = APIRouter()


@router.get("/numbers", operation_id="listNumbers")
async def numbers(cursor: CursorText = None, limit: Limit = DEFAULT_LIMIT) -> Page[int]:
    after = EVENTS.read(cursor) or 0
    return EVENTS.page(range(after + 1, min(after + limit + 1, 120) + 1), limit, lambda number: number)


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def test_pages_follow_each_other_to_the_end(build: Any, asking: Any) -> None:
    seen: list[int] = []
    cursor = None
    async with asking(build(router)) as client:
        while True:
            page = (await client.get("/numbers", params={"cursor": cursor} if cursor else {})).json()
            seen += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break

    assert seen == list(range(1, 121))


async def test_a_full_last_page_leads_nowhere(build: Any, asking: Any) -> None:
    async with asking(build(router)) as client:
        page = (await client.get("/numbers", params={"limit": 120})).json()

    assert (len(page["items"]), page["next_cursor"]) == (120, None)


@pytest.mark.parametrize("limit", [0, 201, -1, "many"])
async def test_a_limit_is_between_1_and_200(build: Any, asking: Any, limit: object) -> None:
    async with asking(build(router)) as client:
        answer = await client.get("/numbers", params={"limit": limit})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/limit"


async def test_a_foreign_cursor_is_a_clear_400(build: Any, asking: Any) -> None:
    async with asking(build(router)) as client:
        answer = await client.get("/numbers", params={"cursor": "page-2"})

    assert (answer.status_code, answer.json()["title"]) == (400, "The cursor is not one of ours")
    assert "page-2" not in answer.text


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "a",
        "é",
        *map(forged, ["null", "[1]", "{}", "NaN", "1e9", '"1"x', "1 2", "9" * 19, "9" * 5000]),
    ],
)
def test_a_tampered_position_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        EVENTS.read(cursor)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        f'["2026-11-23T12:00:00Z", "{RUN}", 1]',
        '["2026-11-23T12:00:00Z", "x"]',
        f'["2026-11-23T12:00:00", "{RUN}"]',
        f'["0001-01-01T00:00:00+14:00", "{RUN}"]',
        f'["9999-12-31T23:59:59-14:00", "{RUN}"]',
    ],
)
def test_a_tampered_compound_key_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        RUNS.read(forged(text))


def test_text_that_postgres_cannot_hold_is_refused() -> None:
    with pytest.raises(CursorInvalid):
        TRIGGERS.read(forged(f'["a\\u0000b", "{RUN}"]'))


def test_a_key_survives_the_way_out_and_back() -> None:
    when = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)

    assert RUNS.read(RUNS.write((when, RUN))) == (when, RUN)
    assert TRIGGERS.read(TRIGGERS.write(("Lembrete às 9h", RUN))) == ("Lembrete às 9h", RUN)
    assert EVENTS.read(None) is None


def test_a_bounded_key_keeps_its_bounds() -> None:
    positive: Cursor[int] = Cursor(Annotated[int, Field(ge=0)])  # type: ignore[arg-type]

    with pytest.raises(CursorInvalid):
        positive.read(forged("-1"))

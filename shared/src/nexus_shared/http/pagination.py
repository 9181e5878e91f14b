"""Pages by keyset: an opaque cursor says after which row the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from nexus_shared.errors import NexusError

MAX_LIMIT = 200
DEFAULT_LIMIT = 50
MAX_CURSOR_CHARS = 512

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most")]
CursorText = Annotated[
    str | None,
    Query(max_length=MAX_CURSOR_CHARS, description="`next_cursor` of the page before; none for the first"),
]

T = TypeVar("T")
Row = TypeVar("Row")
K = TypeVar("K")


class Page(BaseModel, Generic[T]):
    """Some items in order. `next_cursor` leads to the ones after them; null on the last page."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page")


class CursorInvalid(NexusError):
    """The cursor is not one of ours. Take `next_cursor` of the page before as it is, or begin without one."""

    status = 400
    slug = "cursor-invalid"
    title = "The cursor is not one of ours"

    def __init__(self) -> None:
        super().__init__("Take next_cursor of the page before as it is, or begin without one.")


class Cursor(Generic[K]):
    """Writes and reads the cursors of one list: `RUNS = Cursor[tuple[AwareDatetime, UUID]](tuple[...])`.

    The key is what the list is ordered by: a position, or a tuple that ends in something unique.
    """

    def __init__(self, key: type[K]) -> None:
        self._adapter: TypeAdapter[K] = TypeAdapter(key)

    def write(self, key: K) -> str:
        return base64.urlsafe_b64encode(self._adapter.dump_json(key)).rstrip(b"=").decode()

    def read(self, cursor: str | None) -> K | None:
        """The key to continue after; None begins at the start. Raises CursorInvalid."""
        if cursor is None:
            return None
        try:
            told = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            key = self._adapter.validate_json(told, strict=True)
        except (binascii.Error, ValidationError, ValueError):
            raise CursorInvalid from None
        if len(cursor) > MAX_CURSOR_CHARS or not all(
            map(_is_storable, key if isinstance(key, tuple) else (key,))
        ):
            raise CursorInvalid
        return key

    def page(self, rows: Sequence[Row], limit: int, key_of: Callable[[Row], K]) -> Page[Row]:
        """The page from `limit + 1` rows asked of the store: the extra one says that there is more."""
        items = list(rows[:limit])
        has_more = len(rows) > limit
        return Page(items=items, next_cursor=self.write(key_of(items[-1])) if has_more else None)


def _is_storable(part: Any) -> bool:
    """Whether PostgreSQL can compare with it; a forged cursor must not become an error of ours."""
    match part:
        case bool() | None | UUID():
            return True
        case int():
            return -(2**63) <= part < 2**63
        case str():
            return "\x00" not in part and part.isprintable()
        case datetime():
            return part.tzinfo is not None and 1970 <= part.year < 3000
        case _:
            return False

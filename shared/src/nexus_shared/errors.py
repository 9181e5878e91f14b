"""Errors as situations: each says to a person what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Flaw:
    """One problem of an input: where (JSON pointer, "" = the whole), what was expected, what to do."""

    pointer: str
    message: str
    code: str = "invalid"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class NexusError(Exception):
    """Base of all situations with an answer of their own: `str(error)` is the detail for a person.

    `slug` is stable and ends the problem type's URI; `headers` go out with an HTTP answer.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self, detail: str = "", *, flaws: Iterable[Flaw] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail or self.title)
        self.flaws = tuple(flaws)
        self.headers = dict(headers or {})


class InputInvalid(NexusError):
    """The input does not fit; `flaws` say where and why."""

    status = 422
    slug = "validation"
    title = "The request is not valid"


class StoreAway(NexusError):
    """PostgreSQL does not answer: nothing was lost, ask again."""

    status = 503
    slug = "store-away"
    title = "The store is away; nothing was accepted, try again in a moment"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"Retry-After": "2"})


class RetryLater(NexusError):
    """This cannot be done now; do it again after `after`."""

    status = 503
    slug = "retry-later"
    title = "Not now"

    def __init__(self, detail: str, *, after: timedelta) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, round(after.total_seconds())))})
        self.after = after


class Reject(NexusError):
    """This message can never be handled: it becomes a dead letter with this sentence."""

    status = 422
    slug = "rejected"
    title = "The message cannot be handled"

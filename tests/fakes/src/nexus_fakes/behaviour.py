"""How a fake answers. A behaviour is a value, set for a path or for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

ANY_PATH = "*"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One way to answer; durations in seconds, sizes in bytes.

    `fail_first`: the first N requests of each webhook-id get `fail_status`. `close`: "before" ends the connection
    without an answer, "during" in the middle of the body. `raw` is sent instead of an answer, as it is.
    `slow_body` spreads the body over that time. `retry_after` and `redirect_to` become headers.
    """

    status: int = 200
    body: str = "ok"
    body_bytes: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    slow_body: float = 0.0
    retry_after: str | None = None
    redirect_to: str | None = None
    close: str | None = None
    raw: str | None = None
    fail_first: int = 0
    fail_status: int = 503

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Behaviour:
        """From a control request. ValueError names what is unknown or of the wrong kind."""
        known = {each.name: each.type for each in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"Unknown setting '{name}'. Known: {', '.join(sorted(known))}.")
            if not _fits(str(known[name]), value):
                raise ValueError(f"'{name}' must be {known[name]}, got {value!r}.")
        return cls(**values)

    def status_of(self, times_seen: int) -> int | None:
        """What the `times_seen`-th request of a webhook-id (1 is the first) is answered with; None for no answer."""
        if times_seen <= self.fail_first:
            return self.fail_status
        if self.close == "before" or self.raw is not None:
            return None
        return self.status

    def answer_headers(self) -> dict[str, str]:
        extra = {"Retry-After": self.retry_after, "Location": self.redirect_to}
        return {**self.headers, **{name: value for name, value in extra.items() if value is not None}}


def _fits(kind: str, value: Any) -> bool:
    if value is None:
        return "None" in kind
    if isinstance(value, bool):
        return False
    accepted: dict[str, type | tuple[type, ...]] = {
        "int": int,
        "float": (int, float),
        "str": str,
        "Mapping": dict,
    }
    return isinstance(value, next(types for name, types in accepted.items() if kind.startswith(name)))

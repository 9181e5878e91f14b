"""The WHERE of a list: only the filters that were given, so that the planner sees what is really asked."""

from __future__ import annotations

from typing import Any


class Filter:
    """Collects conditions and their values, which stand as `?` in them."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._conditions: list[str] = []

    def add(self, condition: str, *values: Any) -> None:
        """A condition with one `?` per value; it is left out when any value is None."""
        if any(value is None for value in values):
            return
        for value in values:
            condition = condition.replace("?", self.value(value), 1)
        self._conditions.append(condition)

    def value(self, value: Any) -> str:
        """Another value, for elsewhere in the statement; its placeholder."""
        self.values.append(value)
        return f"${len(self.values)}"

    def __str__(self) -> str:
        return " and ".join(self._conditions) or "true"

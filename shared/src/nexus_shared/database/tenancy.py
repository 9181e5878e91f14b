"""Every store method takes the tenant first, or says why it must look across tenants."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Method = TypeVar("Method", bound=Callable[..., object])


def across_tenants(why: str) -> Callable[[Method], Method]:
    """Marks a store method that works for all tenants at once; a test lists these with their reasons."""

    def mark(method: Method) -> Method:
        method.across_tenants = why  # type: ignore[attr-defined]
        return method

    return mark

"""How a route gets what app.py built: `events: Annotated[Events, provided(Events)]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request

Kind = TypeVar("Kind")


def provide(api: FastAPI, handlers: Iterable[object]) -> None:
    """Each handler is found by its class."""
    api.state.handlers = {type(handler): handler for handler in handlers}


def provided(kind: type[Kind]) -> Any:
    async def of(request: Request) -> Kind:
        handler: Kind = request.app.state.handlers[kind]
        return handler

    return Depends(of)

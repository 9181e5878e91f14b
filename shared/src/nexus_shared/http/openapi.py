"""The OpenAPI document: errors as they really are, and an operation id on every route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from nexus_shared.http.problems import PROBLEM, Problem

_SCHEMAS = "#/components/schemas/"
_UNNAMED = "unnamed:"

RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {PROBLEM: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
    }
}


def unnamed(route: APIRoute) -> str:
    """Stands in for a missing operation id until `check_operations` finds it."""
    return f"{_UNNAMED}{route.name}"


def document_problems(app: FastAPI) -> None:
    """Puts the schema of Problem into the document that `app.openapi()` returns."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = Problem.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs"))
        schemas["Problem"] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def check_operations(app: FastAPI) -> list[str]:
    """The operation ids of an API in order. Raises ValueError for a route without one, or one used twice."""
    seen: list[str] = []
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            name: str = operation["operationId"]
            if name.startswith(_UNNAMED):
                raise ValueError(
                    f"{method.upper()} {path} ({name.removeprefix(_UNNAMED)}) has no operation_id."
                )
            if name in seen:
                raise ValueError(f"{method.upper()} {path} repeats the operation_id '{name}'.")
            seen.append(name)
    return seen

"""Every service has the same few files, short ones, and keeps SQL, environment and tenants where they belong."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = {"ingest": "nexus_ingest", "trigger-processor": "nexus_trigger_processor"}
ANATOMY = {"app", "settings", "subscribers", "api", "jobs", "handlers", "domain", "store", "migrations"}
MOST_LINES = 400
GENERATED = ("client/emitters/",)
SQL = re.compile(
    r"\b(select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from)\b", re.IGNORECASE | re.DOTALL
)


def sources(folder: str) -> Iterator[Path]:
    for path in (ROOT / folder).rglob("*.py"):
        if "/tests/" not in path.as_posix() and ".venv" not in path.parts:
            yield path


def product() -> list[Path]:
    return [path for folder in ("shared/src", "services", "deploy/cli/src") for path in sources(folder)]


@pytest.mark.parametrize(("service", "package"), SERVICES.items())
def test_every_service_has_the_same_anatomy(service: str, package: str) -> None:
    place = ROOT / "services" / service / "src" / package
    assert {path.stem for path in place.iterdir()} >= ANATOMY


def test_no_file_outgrows_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in product()
        if not any(part in path.as_posix() for part in GENERATED)
        and (lines := len(path.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


@pytest.mark.parametrize(("service", "package"), SERVICES.items())
def test_only_stores_hold_sql(service: str, package: str) -> None:
    found = []
    for path in sources(f"services/{service}/src/{package}"):
        if "/store/" in path.as_posix():
            continue
        tree = ast.parse(path.read_text("utf-8"))
        documentation = {
            ast.get_docstring(node, clean=False) for node in ast.walk(tree) if _has_docstring(node)
        }
        found += [
            f"{path.name}: {node.value[:60]}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value not in documentation
            and SQL.search(node.value)
        ]
    assert found == []


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


def test_nothing_but_settings_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path in [*sources("services"), *sources("shared/src")]
        if re.search(r"os\.environ|os\.getenv", path.read_text("utf-8"))
        and "/testing/" not in path.as_posix()
    ]
    assert readers == []


def store_modules() -> Iterator[ModuleType]:
    for package in SERVICES.values():
        stores = import_module(f"{package}.store")
        for module in iter_modules(stores.__path__):
            yield import_module(f"{package}.store.{module.name}")


def public_queries() -> Iterator[tuple[str, object]]:
    for module in store_modules():
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and name.endswith("Store"):
                for method_name, method in inspect.getmembers(kind, inspect.iscoroutinefunction):
                    if not method_name.startswith("_"):
                        yield f"{name}.{method_name}", method


def test_every_query_takes_the_tenant_first_or_says_why_it_looks_across_tenants() -> None:
    unmarked = []
    for name, method in public_queries():
        parameters = list(inspect.signature(method).parameters)[1:]  # type: ignore[arg-type]
        is_scoped = bool(parameters) and parameters[0] == "tenant_id"
        if not is_scoped and not getattr(method, "across_tenants", ""):
            unmarked.append(name)
    assert unmarked == []


def test_there_are_queries_to_look_at() -> None:
    assert len(list(public_queries())) > 40

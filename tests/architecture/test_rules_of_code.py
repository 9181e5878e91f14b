"""What the linter cannot say about services, their domains and their stores."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml"))
NINE = {"app", "settings", "subscribers", "api", "jobs", "handlers", "domain", "store", "client"}
BESIDES = {
    "migrations": "SQL files",
    "py.typed": "says that there are types",
    "meters": "what Prometheus learns of ingest",
    "measures": "what Prometheus learns of trigger-processor",
    "retries": "when an attempt at a webhook is made again; pure, a part of the domain",
}
"""More than the nine files, each with its reason: who adds one says here why it is none of the nine."""

CLOCKS_AND_DICE = {
    "now",
    "utcnow",
    "today",
    "uuid1",
    "uuid4",
    "monotonic",
    "perf_counter",
    "urandom",
    "token_hex",
}
VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common|stuff)($|_)", re.IGNORECASE)


def package_of(service: str) -> str:
    return f"nexus_{service.replace('-', '_')}"


def place_of(service: str) -> Path:
    return ROOT / "services" / service / "src" / package_of(service)


def ours() -> Iterator[Path]:
    for folder in ("shared", "services", "deploy", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            if not {"node_modules", "build", ".venv", "emitters"} & set(path.parts):
                yield path


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_consists_of_the_nine_files_and_of_what_says_why_it_is_there(service: str) -> None:
    names = {path.stem if path.suffix == ".py" else path.name for path in place_of(service).iterdir()}
    assert names - NINE - BESIDES.keys() - {"__init__", "__pycache__"} == set()


def test_every_service_is_under_the_import_rules() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    packages = {package_of(service) for service in SERVICES}
    assert packages <= set(rules["root_packages"])
    contracts = {contract["name"]: contract for contract in rules["contracts"]}
    assert packages == set(contracts["Services never meet"]["modules"])
    assert packages == set(contracts["Imports point inwards"]["containers"])
    assert packages <= set(contracts["Shared knows no service"]["forbidden_modules"])
    assert {f"{package}.domain" for package in packages} <= set(
        next(c for name, c in contracts.items() if name.startswith("Domains are pure"))["source_modules"]
    )
    protected = [
        module for contract in contracts.values() for module in contract.get("protected_modules", ())
    ]
    assert {f"{package}.settings" for package in packages} == set(protected)


@pytest.mark.parametrize("service", SERVICES)
def test_a_domain_asks_no_clock_and_throws_no_dice(service: str) -> None:
    asked = [
        f"{path.name}:{node.lineno} {ast.unparse(node.func)}"
        for path in (place_of(service) / "domain").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in CLOCKS_AND_DICE
    ]
    assert asked == []


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_one_frozen_class_with_our_prefix_and_no_default_for_a_secret(service: str) -> None:
    settings = import_module(f"{package_of(service)}.settings").Settings
    assert settings.model_config["frozen"]
    assert settings.model_config["env_prefix"] == "NEXUS_"
    secret = re.compile(r"key|url|password|secret")
    given = [name for name, field in settings.model_fields.items() if secret.search(name) and field.default]
    assert [name for name in given if not settings.model_fields[name].is_required()] == []


def test_no_function_outgrows_what_one_can_take_in_at_once() -> None:
    """Thirty lines are the alarm; composition roots and tests may be somewhat longer."""
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} ({_length(node)})"
        for path in ours()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > 70
    ]
    assert long == []


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_nothing_is_called_utils_helpers_or_manager() -> None:
    product = [path for path in ours() if "tests" not in path.relative_to(ROOT).parts]
    names = [str(path.relative_to(ROOT)) for path in product if VAGUE.search(path.stem)]
    for path in product:
        names += [
            f"{path.relative_to(ROOT)}: {node.name}"
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ClassDef)
            and re.search(r"(Utils?|Helpers?|Manager|Processor)$", node.name)
        ]
    assert names == []


def test_no_two_tests_files_share_a_name() -> None:
    names = [path.name for path in ours() if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))


def test_every_test_is_a_sentence() -> None:
    """At least two words after `test_`: who, and what they do."""
    short = [
        f"{path.name}: {node.name}"
        for path in ours()
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and node.name.count("_") < 2
    ]
    assert short == []


def queries() -> list[tuple[str, Any]]:
    """Every public method of every store, of the services and of what they share."""
    found = []
    modules = ["nexus_shared.database.outbox"]
    for service in SERVICES:
        stores = import_module(f"{package_of(service)}.store")
        modules += [module.name for module in walk_packages(stores.__path__, f"{stores.__name__}.")]
    for name in modules:
        for _, kind in inspect.getmembers(import_module(name), inspect.isclass):
            if kind.__module__ == name and kind.__name__.endswith("Store"):
                found += [
                    (f"{kind.__name__}.{method}", member)
                    for method, member in inspect.getmembers(kind, inspect.isfunction)
                    if not method.startswith("_")
                ]
    return found


@pytest.mark.parametrize(("name", "query"), queries(), ids=[name for name, _ in queries()])
def test_a_query_is_a_tenants_or_says_why_it_looks_across_tenants(name: str, query: Any) -> None:
    parameters = [name for name in inspect.signature(query).parameters if name not in ("self", "connection")]
    is_a_tenants = parameters[:1] == ["tenant_id"]
    why = getattr(query, "across_tenants", "")
    assert is_a_tenants or len(why.split()) >= 4, "take the tenant first, or say in a sentence why not"

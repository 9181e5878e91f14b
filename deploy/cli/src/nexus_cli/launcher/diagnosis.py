"""What this machine and this checkout need, one finding each."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from nexus_cli.launcher.installation import Installation
from nexus_cli.launcher.registry import SERVICES
from nexus_shared.testing import private_postgres, private_rabbitmq
from nexus_shared.testing.processes import Account, ServerNotFit, answers, is_ours

LEAST_FREE_BYTES = 2 * 10**9
PACKAGES = ("aio_pika", "aiohttp", "asyncpg", "fastapi", "faststream", "pydantic", "uvicorn")


@dataclass(frozen=True)
class Finding:
    """`found` is what is there; `advice` what to do when it is not fit."""

    subject: str
    is_fit: bool
    found: str
    advice: str = ""


def examine(installation: Installation) -> list[Finding]:
    checks: tuple[Callable[[Installation], Finding], ...] = (
        _python,
        _packages,
        _services,
        _postgres,
        _rabbitmq,
        _account,
        _directory,
        _disk,
        _ports,
    )
    return [check(installation) for check in checks]


def show(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = "[green]✓[/]" if finding.is_fit else "[red]✗[/]"
        console.print(f"{mark} {finding.subject:<{width}}  {escape(finding.found)}")
        if not finding.is_fit:
            console.print(f"  {'':<{width}}  [cyan]{escape(finding.advice)}[/]")


def _python(_: Installation) -> Finding:
    fit = sys.version_info >= (3, 11)
    return Finding(
        "Python", fit, platform.python_version(), "Python 3.11 or newer is needed: make setup PYTHON=…"
    )


def _packages(_: Installation) -> Finding:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    found = f"missing: {', '.join(missing)}" if missing else "all there"
    return Finding("Python packages", not missing, found, "Install what requirements.lock names: make setup")


def _services(installation: Installation) -> Finding:
    names = [entry.name for entry in installation.services]
    missing = [entry.name for entry in SERVICES if entry.name not in names]
    found = ", ".join(names) + (f"; missing: {', '.join(missing)}" if missing else "")
    return Finding("services", not missing, found, "Install the packages of this checkout: make setup")


def _postgres(_: Installation) -> Finding:
    found = private_postgres.binaries()
    return Finding(
        "PostgreSQL",
        found is not None,
        str(found or "no binaries"),
        "make setup, or: apt-get install postgresql",
    )


def _rabbitmq(_: Installation) -> Finding:
    found = private_rabbitmq.scripts()
    return Finding(
        "RabbitMQ",
        found is not None,
        str(found or "not installed"),
        "As root: apt-get install rabbitmq-server",
    )


def _account(_: Installation) -> Finding:
    try:
        account = Account.of_servers()
    except ServerNotFit as reason:
        return Finding("account of the servers", False, "none", str(reason))
    return Finding(
        "account of the servers", True, f"user id {account.uid if account.uid is not None else os.getuid()}"
    )


def _directory(installation: Installation) -> Finding:
    directory = installation.directory
    parent = next(path for path in (directory, *directory.parents) if path.exists())
    fit = os.access(parent, os.W_OK | os.X_OK) and parent.is_dir()
    if fit and os.geteuid() == 0:
        fit = all(path.stat().st_mode & 0o001 for path in (parent, *parent.parents))
    return Finding(
        "directory",
        fit,
        str(directory),
        "It must be writable, and as root open to other accounts: choose with --dir",
    )


def _disk(installation: Installation) -> Finding:
    directory = installation.directory
    at = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(at).free
    return Finding(
        "disk",
        free > LEAST_FREE_BYTES,
        f"{free / 1e9:.1f} GB free",
        "RabbitMQ stops taking messages: make room",
    )


def _ports(installation: Installation) -> Finding:
    """A taken port is no obstacle: another one is chosen and said."""
    memory = installation.memory()
    taken = [
        str(port)
        for entry in SERVICES
        if answers(port := memory.ports.get(entry.name, entry.port))
        and not is_ours(memory.pids.get(entry.name), _working_directory(installation, entry.name))
    ]
    found = f"in use by others: {', '.join(taken)} (another one will be chosen)" if taken else "free or ours"
    return Finding("ports", True, found)


def _working_directory(installation: Installation, name: str) -> Path:
    return installation.working_directory_of(name)

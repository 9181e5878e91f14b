"""Where a launcher keeps its files."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import nexus_cli

KEPT_ACROSS_REBOOTS = Path("/var/tmp")  # noqa: S108  (the directory made below it is closed by its mode)
CLOSED = "{closed} is closed to other accounts and PostgreSQL does not run as root, so data is kept in {directory}."


def checkout() -> Path:
    """The checkout this command is installed from, else the working directory."""
    root = Path(nexus_cli.__file__).resolve().parents[4]
    return root if (root / "requirements.lock").exists() else Path.cwd()


def default_directory(root: Path | None = None) -> tuple[Path, str]:
    """(directory, what to tell the person about the choice): `.nexus` in the checkout where servers can reach it."""
    root = root or checkout()
    if os.geteuid() != 0 or (closed := _closed_parent(root)) is None:
        return root / ".nexus", ""
    short = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    directory = KEPT_ACROSS_REBOOTS / f"nexus-{short}"
    return directory, CLOSED.format(closed=closed, directory=directory)


def _closed_parent(path: Path) -> Path | None:
    return next((p for p in (path, *path.parents) if not p.stat().st_mode & stat.S_IXOTH), None)

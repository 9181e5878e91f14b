"""The services the launcher knows. A new service is one line here."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServiceEntry:
    """`port` is the preferred one; `wants` names settings that only this service gets."""

    name: str
    package: str
    port: int
    wants: frozenset[str] = frozenset()

    @property
    def schema(self) -> str:
        return self.name.replace("-", "_")

    @property
    def broker_user(self) -> str:
        return f"svc.{self.name}"

    @property
    def program(self) -> Path:
        """The console script, next to the Python that runs this."""
        return Path(sys.executable).parent / f"nexus-{self.name}"

    @property
    def migrations(self) -> Path:
        return self._directory() / "migrations"

    @property
    def is_installed(self) -> bool:
        return self.program.exists() and (self._directory() / "app.py").exists()

    def _directory(self) -> Path:
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            return Path("/nonexistent")
        return Path(spec.submodule_search_locations[0])


SERVICES = (
    ServiceEntry("ingest", "nexus_ingest", 7001, frozenset({"token_signing_key"})),
    ServiceEntry("trigger-processor", "nexus_trigger_processor", 7002, frozenset({"outbound_allow"})),
)


def installed() -> tuple[ServiceEntry, ...]:
    """The services of this checkout that can be started, in the order they start."""
    return tuple(entry for entry in SERVICES if entry.is_installed)

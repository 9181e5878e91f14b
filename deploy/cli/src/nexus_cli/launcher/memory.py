"""What a launcher remembers between starts: ports, processes, the demo clinic (`launcher.json`)."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nexus_shared.testing.processes import answers, free_port, write_private


@dataclass
class Memory:
    """`ports` and `pids` are by service; `supervisor` is the process that watches over them."""

    ports: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    supervisor: int = 0

    @classmethod
    def load(cls, path: Path) -> Memory:
        """Forgetting it is harmless: a file that cannot be read counts as none."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return cls(**json.loads(path.read_text()))
        return cls()

    def save(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self), indent=1))

    def choose_port(self, name: str, preferred: int) -> tuple[int, bool]:
        """(port, whether it had to change): the remembered one, the preferred one, else a free one."""
        wanted = self.ports.get(name, preferred)
        taken = answers(wanted) or any(port == wanted for n, port in self.ports.items() if n != name)
        self.ports[name] = free_port() if taken else wanted
        return self.ports[name], taken

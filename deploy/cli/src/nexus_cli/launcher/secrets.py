"""Secrets of one installation, made once and kept in `secrets.json` (0600)."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from nexus_cli.outcomes import EnvironmentNotFit
from nexus_shared.testing.processes import write_private

SIGNING_KID = "k1"


@dataclass(frozen=True)
class ClientLogin:
    """A broker user of a tenant's system; `kind` is pub or sub."""

    kind: str
    tenant_id: str
    name: str
    password: str


@dataclass(frozen=True)
class Secrets:
    """`passwords` are by role of PostgreSQL ("db:ingest") or user of RabbitMQ ("amqp:svc.ingest")."""

    master_key: str = field(default_factory=lambda: _random_key())
    signing_key: str = field(default_factory=lambda: _random_key())
    passwords: dict[str, str] = field(default_factory=dict)
    clients: tuple[ClientLogin, ...] = ()
    demo_key: str = ""

    @property
    def master_keys(self) -> str:
        return f"{SIGNING_KID}:{self.master_key}"

    @property
    def token_public_keys(self) -> str:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        seed = base64.b64decode(self.signing_key)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return f"{SIGNING_KID}:{base64.urlsafe_b64encode(public).decode()}"

    def with_passwords(self, *names: str) -> Secrets:
        """The same with a password for each name; those that exist stay."""
        new = {name: secrets.token_urlsafe(24) for name in names if name not in self.passwords}
        return replace(self, passwords=self.passwords | new)

    def with_client(self, client: ClientLogin) -> Secrets:
        """The same with this client, in the place of one with the same kind, tenant and name."""
        others = self.without_client(client.kind, client.tenant_id, client.name).clients
        return replace(self, clients=(*others, client))

    def without_client(self, kind: str, tenant_id: str, name: str) -> Secrets:
        gone = find_client(self, kind, tenant_id, name)
        return replace(self, clients=tuple(client for client in self.clients if client != gone))


def find_client(secrets: Secrets, kind: str, tenant_id: str, name: str) -> ClientLogin | None:
    wanted = (kind, tenant_id, name)
    return next((c for c in secrets.clients if (c.kind, c.tenant_id, c.name) == wanted), None)


class SecretsFile:
    """Reads and writes the secrets of a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Secrets:
        """What is kept, or new ones that are kept from now on."""
        if not self.path.exists():
            made = Secrets()
            self.save(made)
            return made
        try:
            kept = json.loads(self.path.read_text())
            kept["clients"] = tuple(ClientLogin(**client) for client in kept["clients"])
            return Secrets(**kept)
        except (ValueError, TypeError, KeyError) as error:
            raise EnvironmentNotFit(
                f"{self.path} is damaged; without it the stored data cannot be read.",
                f"Restore the file from a backup, or delete {self.path.parent} to begin anew with nothing.",
            ) from error

    def save(self, kept: Secrets) -> None:
        write_private(self.path, json.dumps(asdict(kept), indent=1))


def new_password() -> str:
    return secrets.token_urlsafe(24)


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()

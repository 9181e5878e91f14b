"""What ingest is told from outside. Secrets have no defaults; in Swarm they come as files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from nexus_shared.access.keys import Key, KeyList

_SECRETS = Path("/run/secrets")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="NEXUS_", frozen=True, extra="ignore", secrets_dir=_SECRETS if _SECRETS.is_dir() else None
    )

    database_url: str
    database_api_url: str
    amqp_url: str
    master_keys: KeyList
    token_public_keys: KeyList
    token_signing_key: Key
    http_host: str = "127.0.0.1"
    http_port: int = 7001
    crash_at: str = ""
    """Only for fault tests: see nexus_shared.crashpoints."""
    log_level: str = "INFO"
    log_format: Literal["json", "console"] = "json"
    otlp_endpoint: str | None = None
    roles: str = "record,relay,fanout"
    """What this process does beside HTTP: `record` (inbound queue), `relay` (nexus.log), `fanout` (nexus.events)."""
    publish_rate: float = 2_000.0
    """Events per second that one API key may bring over HTTP."""
    publish_burst: float = 10_000.0
    retention_weeks: int = 13
    """Weekly partitions older than this are detached."""

    def plays(self, role: str) -> bool:
        return role in (part.strip() for part in self.roles.split(","))

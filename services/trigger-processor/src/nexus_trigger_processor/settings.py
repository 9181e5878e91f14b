"""What trigger-processor is told from outside. Secrets have no defaults; in Swarm they come as files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from nexus_shared.access.keys import KeyList

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
    http_host: str = "127.0.0.1"
    http_port: int = 7002
    crash_at: str = ""
    """Only for fault tests: see nexus_shared.crashpoints."""
    log_level: str = "INFO"
    log_format: Literal["json", "console"] = "json"
    otlp_endpoint: str | None = None
    roles: str = "match,send"
    """What this process does beside HTTP: `match` (reads the log) and `send` (performs webhooks)."""
    outbound_allow: str = ""
    """`host:port,…` that may be called over plain http although private: the demo's receiver, a test's."""
    send_slots: int = 192
    """Webhooks in flight at once, per process."""
    retention_weeks: int = 13

    def plays(self, role: str) -> bool:
        return role in (part.strip() for part in self.roles.split(","))

"""Which API and which key a verb uses: given ones, or those of this machine's installation."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexus_cli.api import Api
from nexus_cli.launcher.installation import Installation
from nexus_cli.outcomes import CommandFailed
from nexus_shared.ids import TenantId


def tenant_api(directory: Path | None, url: str | None, key: str | None, service: str = "ingest") -> Api:
    """The API for a tenant's key: the given one, else the demo clinic's."""
    if url and key:
        return Api(url, key)
    installation = Installation(directory)
    installation.require_running()
    return Api(url or installation.url_of(service), key or installation.secrets().demo_key)


def platform_api(directory: Path | None, url: str | None, key: str | None) -> Api:
    """ingest's API for a key that may manage tenants and their keys: the given one, else one signed here."""
    if url and key:
        return Api(url, key)
    from nexus_cli.launcher.demo_clinic import platform_token

    installation = Installation(directory)
    installation.require_running()
    return Api(url or installation.url_of("ingest"), key or platform_token(installation))


def claims_of(token: str) -> dict[str, Any]:
    """What an API key says about itself, unverified. Raises CommandFailed for what is no token."""
    try:
        _, claims, _ = token.split(".")
        told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        if not isinstance(told, dict):
            raise ValueError("no object")
    except (ValueError, binascii.Error) as error:
        raise CommandFailed("This is no API key.", "A key has three parts with dots between them.") from error
    return told


def tenant_of(api: Api) -> TenantId:
    """The tenant that the API's key acts for."""
    return TenantId(str(claims_of(api.key).get("tenant", "")))


def readable_claims(claims: dict[str, Any]) -> dict[str, Any]:
    """The claims with times that people read."""
    times = {
        name: datetime.fromtimestamp(claims[name], UTC).isoformat()
        for name in ("iat", "exp")
        if isinstance(claims.get(name), int | float)
    }
    return claims | times

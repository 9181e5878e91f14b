"""The demo clinic: a tenant with an API key, so that there is something to try at once."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from nexus_cli.api import Api, Refused
from nexus_cli.launcher.installation import DEMO_TENANT, Installation
from nexus_shared.access.keys import parse_keys
from nexus_shared.access.principal import ROLES, Role
from nexus_shared.access.tokens import TokenSigner
from nexus_shared.ids import PLATFORM

PLATFORM_TOKEN_MINUTES = 5
DEMO_KEY_NAME = "demo"
SETTINGS = {
    "tz": "America/Sao_Paulo",
    "locale": "pt-BR",
    "business_hours": [{"weekday": day, "opens": "08:00", "closes": "18:00"} for day in range(1, 6)],
}


def platform_token(installation: Installation) -> str:
    """A short-lived key of the platform, signed here with the installation's own signing key."""
    secrets = installation.secrets()
    signer = TokenSigner.among(base64.b64decode(secrets.signing_key), parse_keys(secrets.token_public_keys))
    until = datetime.now(UTC) + timedelta(minutes=PLATFORM_TOKEN_MINUTES)
    token, _ = signer.issue("nexus-cli", PLATFORM, ROLES[Role.PLATFORM], until)
    return token


def ensure(installation: Installation) -> None:
    """Create the tenant and its key once; a key that is no longer accepted is replaced."""
    url, key = installation.url_of("ingest"), installation.secrets().demo_key
    if key and _is_accepted(Api(url, key)):
        return
    platform = Api(url, platform_token(installation))
    _create_tenant(platform)
    wanted = {"name": DEMO_KEY_NAME, "role": Role.CLINIC_ADMIN.value, "tenant_id": DEMO_TENANT}
    made = platform.ask("POST", "/v1/tokens", json=wanted)
    installation.change_secrets(lambda secrets: replace(secrets, demo_key=made["token"]))


def _is_accepted(api: Api) -> bool:
    try:
        api.ask("GET", f"/v1/tenants/{DEMO_TENANT}")
    except Refused as refused:
        if refused.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise
        return False
    return True


def _create_tenant(platform: Api) -> None:
    wanted = {"tenant_id": DEMO_TENANT, "name": "Clínica Demonstração", "settings": SETTINGS}
    try:
        platform.ask("POST", "/v1/tenants", json=wanted)
    except Refused as refused:
        if refused.status != HTTPStatus.CONFLICT:  # it exists already
            raise

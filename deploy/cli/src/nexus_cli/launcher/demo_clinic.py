"""The demo clinic: a tenant with an API key, so that there is something to try at once."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

from nexus_cli.launcher.installation import Installation
from nexus_shared.access.keys import parse_keys
from nexus_shared.access.principal import ROLES, Role
from nexus_shared.access.tokens import TokenSigner
from nexus_shared.ids import PLATFORM

PLATFORM_TOKEN_MINUTES = 5
DEMO_KEY_NAME = "demo"


def platform_token(installation: Installation) -> str:
    """A short-lived key of the platform, signed here with the installation's own signing key."""
    secrets = installation.secrets()
    signer = TokenSigner.among(base64.b64decode(secrets.signing_key), parse_keys(secrets.token_public_keys))
    until = datetime.now(UTC) + timedelta(minutes=PLATFORM_TOKEN_MINUTES)
    token, _ = signer.issue("nexus-cli", PLATFORM, ROLES[Role.PLATFORM], until)
    return token


def ensure(installation: Installation) -> None:
    """Create the tenant and its key once; a key that is no longer accepted is replaced."""

"""API keys through ingest's API, and what a token says by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from nexus_cli.access import claims_of, readable_claims
from nexus_cli.api import Api
from nexus_cli.launcher.installation import Installation
from nexus_cli.outcomes import CommandFailed
from nexus_shared.access.keys import parse_keys
from nexus_shared.access.principal import ROLES, Role, Scope
from nexus_shared.access.tokens import TokenRefused, TokenVerifier

PAGE = 200
STANDARD_INPUT = "-"


def scopes_of(role: str | None, scopes: Iterable[str]) -> list[str]:
    """The scopes of a role and single ones together. Raises CommandFailed for unknown names, or for none at all."""
    known, roles = {scope.value for scope in Scope}, {each.value: ROLES[each] for each in Role}
    chosen = {*scopes, *(scope.value for scope in roles.get(role or "", ()))}
    unknown = sorted(chosen - known) + ([role] if role and role not in roles else [])
    if unknown:
        advice = f"Roles: {', '.join(roles)}\nScopes: {', '.join(sorted(known))}"
        raise CommandFailed(f"There is no '{unknown[0]}'.", advice)
    if not chosen:
        raise CommandFailed(
            "A key needs at least one scope.", "Like: --role developer, or --scope events:write"
        )
    return sorted(chosen)


def create(api: Api, name: str, tenant_id: str | None, scopes: list[str], days: int) -> dict[str, Any]:
    """The new key with its `token`."""
    # A little less than asked for, because the service's clock decides what a year is.
    expires_at = datetime.now(UTC) + timedelta(days=days) - timedelta(minutes=1)
    wanted = {"name": name, "scopes": scopes, "expires_at": expires_at.isoformat()}
    if tenant_id is not None:
        wanted["tenant_id"] = tenant_id
    made: dict[str, Any] = api.ask("POST", "/v1/tokens", json=wanted)
    return made


def all_of(api: Api, tenant_id: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = api.ask("GET", "/v1/tokens", params={"tenant_id": tenant_id, "limit": PAGE, "cursor": cursor})
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def revoke(api: Api, jti_or_token: str, tenant_id: str | None) -> str:
    """The id of the key taken back."""
    jti = jti_or_token
    if "." in jti_or_token:
        claims = claims_of(jti_or_token)
        jti, tenant_id = str(claims.get("jti")), tenant_id or str(claims.get("tenant"))
    api.ask("DELETE", f"/v1/tokens/{jti}", params={"tenant_id": tenant_id})
    return jti


def show(found: list[dict[str, Any]]) -> None:
    width = max((len(key["name"]) for key in found), default=0)
    for key in found:
        scopes = " ".join(key["scopes"])
        print(
            f"{key['jti']}  {key['name']:<{width}}  {key['status']:<7}  until {key['expires_at'][:10]}  {scopes}"
        )


def decode(token: str, installation: Installation) -> dict[str, Any]:
    """The claims, and `valid`: what this installation's own check says, without the list of revoked keys."""
    text = (sys.stdin.read() if token == STANDARD_INPUT else token).strip()
    return readable_claims(claims_of(text)) | {"valid": _verdict(text, installation)}


def _verdict(token: str, installation: Installation) -> str:
    if not installation.exists:
        return f"unknown: no installation in {installation.directory}"
    try:
        TokenVerifier(parse_keys(installation.secrets().token_public_keys)).verify(token)
    except TokenRefused as refused:
        return f"no: {refused.reason}"
    return "yes"

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nexus_shared.access.principal import Principal, Scope
from nexus_shared.access.tokens import (
    ScopeNotGrantable,
    TokenClaims,
    TokenRefused,
    TokenSigner,
    TokenVerifier,
    public_key_of,
)
from nexus_shared.ids import PLATFORM, TenantId

SEED = bytes(range(32))


def claims(door: Any, **changed: Any) -> dict[str, Any]:
    """The claims of a good token; None takes one away."""
    told = {
        "iss": "nexus",
        "aud": "nexus",
        "sub": "crm",
        "jti": "j-1",
        "tenant": "clinica-sul",
        "scopes": ["events:write"],
        "iat": int(door.now),
        "exp": int(door.now) + 600,
    } | changed
    return {name: value for name, value in told.items() if value is not None}


def signed(told: dict[str, Any], *, seed: bytes = SEED, kid: str | None = "k1") -> str:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return jwt.encode(told, key, algorithm="EdDSA", headers={"kid": kid} if kid else None)


def forged(header: dict[str, Any], told: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(told).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def refusal(door: Any, token: str) -> str:
    with pytest.raises(TokenRefused) as refused:
        door.verifier.verify(token)
    return refused.value.reason


def test_an_issued_token_says_who_holds_it(door: Any) -> None:
    token, told = door.signer.issue(
        "crm", TenantId("clinica-sul"), [Scope.EVENTS_WRITE], datetime(2027, 1, 1, tzinfo=UTC)
    )

    holder = door.verifier.verify(token)

    assert holder == Principal("crm", TenantId("clinica-sul"), frozenset({Scope.EVENTS_WRITE}), told.jti)
    assert told.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert door.verifier.read(token) == told


def test_two_keys_of_one_name_have_different_jtis(door: Any) -> None:
    first, second = door.verifier.verify(door.token()), door.verifier.verify(door.token())

    assert first.jti != second.jti


def test_an_unsigned_token_is_refused(door: Any) -> None:
    for algorithm in ("none", "None", "NONE"):
        assert refusal(door, forged({"alg": algorithm, "kid": "k1"}, claims(door))) != "expired"


def test_a_public_key_used_as_a_shared_secret_is_refused(door: Any) -> None:
    token = jwt.encode(claims(door), public_key_of(SEED), algorithm="HS256", headers={"kid": "k1"})

    assert refusal(door, token) == "InvalidAlgorithmError"


def test_a_token_of_an_unknown_kid_is_refused(door: Any) -> None:
    for kid in ("k2", None, "../../etc/passwd", ""):
        assert refusal(door, signed(claims(door), kid=kid)) in {"unknown kid", "InvalidTokenError"}


def test_a_known_kid_does_not_help_a_foreign_key(door: Any) -> None:
    assert refusal(door, signed(claims(door), seed=os.urandom(32))) == "InvalidSignatureError"


def test_changing_the_tenant_breaks_the_signature(door: Any) -> None:
    header, _, signature = door.token(Scope.EVENTS_READ).split(".")
    other = (
        base64.urlsafe_b64encode(json.dumps(claims(door, tenant="clinica-norte")).encode())
        .decode()
        .rstrip("=")
    )

    assert refusal(door, f"{header}.{other}.{signature}") == "InvalidSignatureError"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"aud": "n8n"}, "InvalidAudienceError"),
        ({"aud": ["nexus", "n8n"]}, "InvalidAudienceError"),
        ({"iss": "somebody"}, "InvalidIssuerError"),
        ({"tenant": "Clinica Sul"}, "malformed claims"),
        ({"tenant": 7}, "malformed claims"),
        ({"scopes": "events:write"}, "malformed claims"),
        ({"scopes": [["events:write"]], "exp": "soon"}, "malformed claims"),
        ({"exp": 1e300}, "malformed claims"),
        ({"sub": 7}, "InvalidSubjectError"),
        ({"jti": 7}, "InvalidJTIError"),
    ],
)
def test_claims_that_are_not_ours_are_refused(door: Any, changed: dict[str, Any], reason: str) -> None:
    assert refusal(door, signed(claims(door, **changed))) == reason


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "jti", "tenant", "scopes", "iat", "exp"])
def test_no_claim_may_be_missing(door: Any, claim: str) -> None:
    assert refusal(door, signed(claims(door, **{claim: None}))) == "MissingRequiredClaimError"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b.c.d.e", "é.é.é", "x" * 5000, "\x00.\x00.\x00"])
def test_what_is_no_token_is_refused(door: Any, token: str) -> None:
    assert refusal(door, token)


def test_a_token_expires_also_when_it_is_known_already(door: Any) -> None:
    token = door.token(lives=timedelta(minutes=5))
    door.verifier.verify(token)

    door.now += 300 + 29
    door.verifier.verify(token)
    door.now += 1
    assert refusal(door, token) == "expired"
    assert refusal(door, token) == "expired"


def test_clocks_may_differ_by_half_a_minute(door: Any) -> None:
    door.verifier.verify(signed(claims(door, iat=int(door.now) + 30)))

    assert refusal(door, signed(claims(door, iat=int(door.now) + 31))) == "issued in the future"


def test_a_revoked_key_is_refused_although_it_was_verified_before(door: Any) -> None:
    token = door.token()
    holder = door.verifier.verify(token)

    door.revocations.revoke(holder.jti)

    assert refusal(door, token) == "revoked"


def test_every_refusal_reads_the_same(door: Any) -> None:
    revoked = door.token()
    door.revocations.revoke(door.verifier.verify(revoked).jti)

    refusals = []
    for token in ("x", revoked, signed(claims(door), kid="k2"), signed(claims(door, exp=1))):
        with pytest.raises(TokenRefused) as refused:
            door.verifier.verify(token)
        refusals.append((refused.value.status, str(refused.value), refused.value.headers))

    assert len({str(refusal) for refusal in refusals}) == 1
    assert refusals[0][2] == {"WWW-Authenticate": "Bearer"}


def test_scopes_we_do_not_know_open_nothing(door: Any) -> None:
    holder = door.verifier.verify(signed(claims(door, scopes=["events:read", "moon:walk", 7, None])))

    assert holder.scopes == {Scope.EVENTS_READ}
    assert all(type(scope) is Scope for scope in holder.scopes)


def test_only_the_platform_can_hold_tenants_manage(door: Any) -> None:
    with pytest.raises(ScopeNotGrantable, match="'clinica-sul' cannot hold 'tenants:manage'"):
        door.token(Scope.TENANTS_MANAGE)

    assert door.verifier.verify(signed(claims(door, scopes=["tenants:manage"]))).scopes == frozenset()
    assert door.verifier.verify(door.token(Scope.TENANTS_MANAGE, tenant=PLATFORM)).is_platform


def test_the_cache_forgets_the_token_that_was_not_used_for_longest(
    monkeypatch: pytest.MonkeyPatch, door: Any
) -> None:
    verifier = TokenVerifier({"k1": public_key_of(SEED)}, clock=lambda: door.now, cached_tokens=2)
    read: list[str] = []
    original = verifier.read

    def counted(token: str) -> TokenClaims:
        read.append(token)
        return original(token)

    monkeypatch.setattr(verifier, "read", counted)
    first, second, third = door.token(), door.token(), door.token()

    for token in (first, second, first, third, first, second):
        verifier.verify(token)

    assert read == [first, second, third, second]


def test_a_refused_token_is_not_remembered(door: Any) -> None:
    token = signed(claims(door, iat=int(door.now) + 60))
    assert refusal(door, token) == "issued in the future"

    door.now += 60

    assert door.verifier.verify(token).name == "crm"


def test_old_keys_verify_while_new_ones_sign(door: Any) -> None:
    new_seed = os.urandom(32)
    verifier = TokenVerifier(
        {"k2": public_key_of(new_seed), "k1": public_key_of(SEED)}, clock=lambda: door.now
    )
    newer, _ = TokenSigner("k2", new_seed, clock=lambda: door.now).issue(
        "crm", TenantId("clinica-sul"), [], datetime(2027, 1, 1, tzinfo=UTC)
    )

    assert verifier.verify(newer).name == verifier.verify(door.token()).name == "crm"


def test_the_signer_finds_its_kid_among_the_public_keys() -> None:
    known = {"k1": public_key_of(os.urandom(32)), "k2": public_key_of(SEED)}

    _, told = TokenSigner.among(SEED, known).issue(
        "crm", TenantId("clinica-sul"), [], datetime(2099, 1, 1, tzinfo=UTC)
    )

    assert told.kid == "k2"
    with pytest.raises(ValueError, match="nobody could verify"):
        TokenSigner.among(os.urandom(32), known)

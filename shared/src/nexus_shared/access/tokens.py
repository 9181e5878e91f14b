"""API keys: EdDSA JSON web tokens, signed by ingest and verified offline by everybody.

Claims: iss "nexus", aud "nexus", sub (the key's name), jti, tenant, scopes, iat, exp; header kid. Nothing else in a
token is read. The algorithm is pinned, so neither `alg: none` nor a public key used as a secret gets anywhere.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nexus_shared.access.principal import Principal, Scope, grantable
from nexus_shared.access.revocations import Revocations
from nexus_shared.errors import NexusError
from nexus_shared.ids import TenantId, is_tenant_id

ISSUER = "nexus"
AUDIENCE = "nexus"
ALGORITHM = "EdDSA"
LEEWAY_SECONDS = 30
MAX_TOKEN_CHARS = 4096
CACHED_TOKENS = 10_000

_CLAIMS = ["iss", "aud", "sub", "jti", "tenant", "scopes", "iat", "exp"]


class TokenRefused(NexusError):
    """Send a valid API key: `Authorization: Bearer …`.

    The answer is the same whatever was wrong; `reason` is for our log only.
    """

    status = 401
    slug = "unauthenticated"
    title = "A valid API key is needed"

    def __init__(self, reason: str) -> None:
        super().__init__(
            "Send a valid API key: Authorization: Bearer …", headers={"WWW-Authenticate": "Bearer"}
        )
        self.reason = reason


class ScopeNotGrantable(NexusError):
    """A key of tenant 'clinica-sul' cannot hold 'tenants:manage'."""

    status = 422
    slug = "scope-not-grantable"
    title = "This scope cannot be granted"


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says. `kid` names the key that signed it."""

    name: str
    tenant_id: TenantId
    scopes: frozenset[Scope]
    jti: str
    issued_at: datetime
    expires_at: datetime
    kid: str

    def principal(self) -> Principal:
        return Principal(name=self.name, tenant_id=self.tenant_id, scopes=self.scopes, jti=self.jti)


def public_key_of(seed: bytes) -> bytes:
    """The raw public key (32 bytes) of an Ed25519 seed (32 bytes)."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


class TokenSigner:
    """Issues API keys; only ingest holds the seed."""

    def __init__(self, kid: str, seed: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._kid = kid
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._clock = clock

    @classmethod
    def among(cls, seed: bytes, public_keys: Mapping[str, bytes]) -> TokenSigner:
        """The signer under the kid that verifiers know. Raises ValueError if none of them could verify its tokens."""
        public = public_key_of(seed)
        for kid, key in public_keys.items():
            if key == public:
                return cls(kid, seed)
        raise ValueError(
            "NEXUS_TOKEN_SIGNING_KEY belongs to none of NEXUS_TOKEN_PUBLIC_KEYS: nobody could verify its tokens."
        )

    def issue(
        self, name: str, tenant_id: TenantId, scopes: Iterable[Scope], expires_at: datetime
    ) -> tuple[str, TokenClaims]:
        """A new key, shown once: (token, its claims). `expires_at` is aware. Raises ScopeNotGrantable."""
        granted = frozenset(scopes)
        if excess := sorted(granted - grantable(tenant_id)):
            raise ScopeNotGrantable(f"A key of tenant '{tenant_id}' cannot hold '{excess[0].value}'.")
        claims = TokenClaims(
            name=name,
            tenant_id=tenant_id,
            scopes=granted,
            jti=str(uuid4()),
            issued_at=datetime.fromtimestamp(int(self._clock()), UTC),
            expires_at=expires_at.astimezone(UTC).replace(microsecond=0),
            kid=self._kid,
        )
        return self._sign(claims), claims

    def _sign(self, claims: TokenClaims) -> str:
        told = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": claims.name,
            "jti": claims.jti,
            "tenant": claims.tenant_id,
            "scopes": sorted(scope.value for scope in claims.scopes),
            "iat": int(claims.issued_at.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
        }
        return jwt.encode(told, self._key, algorithm=ALGORITHM, headers={"kid": claims.kid})


class TokenVerifier:
    """Turns a token into its Principal, offline.

    Signatures are checked once per token and process: verified tokens are kept by their SHA-256 (at most
    `cached_tokens`, least recently used out). Expiry and revocation are checked at every call.
    """

    def __init__(
        self,
        public_keys: Mapping[str, bytes],
        *,
        revocations: Revocations | None = None,
        clock: Callable[[], float] = time.time,
        cached_tokens: int = CACHED_TOKENS,
    ) -> None:
        self.revocations = revocations or Revocations()
        self._keys = {kid: Ed25519PublicKey.from_public_bytes(key) for kid, key in public_keys.items()}
        self._clock = clock
        self._cached_tokens = cached_tokens
        self._known: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Raises TokenRefused, with the same words for every reason."""
        digest = sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None:
            claims = self.read(token)
            known = self._known[digest] = (claims.principal(), claims.expires_at.timestamp())
            if len(self._known) > self._cached_tokens:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(digest)
        principal, expires_at = known
        if self._clock() >= expires_at + LEEWAY_SECONDS:
            raise TokenRefused("expired")
        if self.revocations.is_revoked(principal.jti):
            raise TokenRefused("revoked")
        return principal

    def read(self, token: str) -> TokenClaims:
        """The claims of a token whose signature and shape are right; expiry and revocation are `verify`'s."""
        if len(token) > MAX_TOKEN_CHARS:
            raise TokenRefused("too long")
        try:
            kid = str(jwt.get_unverified_header(token).get("kid"))
            if kid not in self._keys:
                raise TokenRefused("unknown kid")
            told = jwt.decode(
                token,
                self._keys[kid],
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Times are judged by our own clock, once here (iat) and at every call (exp).
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "strict_aud": True},
            )
        except jwt.PyJWTError as refusal:
            raise TokenRefused(type(refusal).__name__) from None
        return self._claims(kid, told)

    def _claims(self, kid: str, told: Mapping[str, Any]) -> TokenClaims:
        tenant, scopes = told["tenant"], told["scopes"]
        if not (isinstance(tenant, str) and is_tenant_id(tenant) and isinstance(scopes, list)):
            raise TokenRefused("malformed claims")
        try:
            claims = TokenClaims(
                name=told["sub"],
                tenant_id=TenantId(tenant),
                # A newer service may know scopes we do not: they open nothing here.
                scopes=frozenset(scope for scope in grantable(TenantId(tenant)) if scope in scopes),
                jti=told["jti"],
                issued_at=datetime.fromtimestamp(told["iat"], UTC),
                expires_at=datetime.fromtimestamp(told["exp"], UTC),
                kid=kid,
            )
        except (TypeError, ValueError, OverflowError, OSError):
            raise TokenRefused("malformed claims") from None
        if claims.issued_at.timestamp() > self._clock() + LEEWAY_SECONDS:
            raise TokenRefused("issued in the future")
        return claims

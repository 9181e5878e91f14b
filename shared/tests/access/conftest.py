"""A signer and a verifier that know each other, and a clock that can be moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from nexus_shared.access.principal import Scope
from nexus_shared.access.revocations import Revocations
from nexus_shared.access.tokens import TokenSigner, TokenVerifier, public_key_of
from nexus_shared.ids import TenantId

SEED = bytes(range(32))


@dataclass
class Doorkeeper:
    """Everything a test of access needs: issue at `now`, verify at `now`."""

    now: float = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    kid: str = "k1"
    cached_tokens: int = 100
    revocations: Revocations = field(default_factory=Revocations)

    def __post_init__(self) -> None:
        self.signer = TokenSigner(self.kid, SEED, clock=lambda: self.now)
        self.verifier = TokenVerifier(
            {self.kid: public_key_of(SEED)},
            revocations=self.revocations,
            clock=lambda: self.now,
            cached_tokens=self.cached_tokens,
        )

    def token(
        self,
        *scopes: Scope,
        tenant: str = "clinica-sul",
        name: str = "crm",
        lives: timedelta = timedelta(hours=1),
    ) -> str:
        token, _ = self.signer.issue(
            name, TenantId(tenant), scopes, datetime.fromtimestamp(self.now, UTC) + lives
        )
        return token


@pytest.fixture
def door() -> Doorkeeper:
    return Doorkeeper()

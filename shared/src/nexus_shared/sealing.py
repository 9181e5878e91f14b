"""Secrets and personal data at rest: AES-256-GCM, bound to where they belong.

A sealed value is key-id length (1 byte) ‖ key id ‖ nonce (12) ‖ ciphertext with tag. The associated data (for example
`tenant|source|id`) must be given again to open it, so a value moved to another row or tenant does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nexus_shared.errors import NexusError

KEY_BYTES = 32
_NONCE_BYTES = 12
_BLOCK_BYTES = 16 * 1024


class SealBroken(NexusError):
    """A sealed value does not open: wrong key, wrong place, or it was changed."""

    slug = "seal-broken"
    title = "A sealed value does not open"


class _Randomness:
    """Random bytes of the system, drawn in blocks: a system call for every nonce is what sealing would mostly cost."""

    def __init__(self) -> None:
        self._block, self._used = b"", 0

    def take(self, count: int) -> bytes:
        start, end = self._used, self._used + count
        if end > len(self._block):
            self._block, start, end = os.urandom(_BLOCK_BYTES), 0, count
        self._used = end
        return self._block[start:end]


random_bytes = _Randomness().take


def seal(key: AESGCM, plain: bytes, associated: bytes) -> bytes:
    """nonce ‖ ciphertext with tag."""
    nonce = random_bytes(_NONCE_BYTES)
    return nonce + key.encrypt(nonce, plain, associated)


def unseal(key: AESGCM, sealed: bytes, associated: bytes) -> bytes:
    """Raises SealBroken."""
    try:
        return key.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
    except (InvalidTag, ValueError) as error:  # a value cut short has no whole nonce
        raise SealBroken("the value was sealed elsewhere, or changed") from error


class MasterKeys:
    """The keys that wrap everything else. The first is used for sealing; the others still open (rotation)."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise ValueError("master keys: expected at least one, 32 bytes each")
        self._raw = dict(keys)
        self._keys = {kid: AESGCM(key) for kid, key in keys.items()}
        self._current = next(iter(keys))

    def seal(self, plain: bytes, associated: str) -> bytes:
        kid = self._current.encode()
        return bytes([len(kid)]) + kid + seal(self._keys[self._current], plain, associated.encode())

    def open(self, sealed: bytes, associated: str) -> bytes:
        """Raises SealBroken."""
        length = sealed[0] if sealed else 0
        key = self._keys.get(sealed[1 : 1 + length].decode("ascii", "replace"))
        if key is None:
            raise SealBroken("sealed with a master key that is not configured")
        return unseal(key, sealed[1 + length :], associated.encode())

    @lru_cache(maxsize=32)  # noqa: B019 - lives as long as the process
    def derived(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, from the oldest key: rotation must not change digests."""
        oldest = self._raw[list(self._raw)[-1]]
        return hmac.digest(oldest, f"nexus:{purpose}".encode(), hashlib.sha256)

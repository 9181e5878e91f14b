"""Standard Webhooks, verified as a receiver would who only read the standard."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

TOLERANCE_SECONDS = 300


def verdict(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """valid, invalid, missing (no signature headers) or unchecked (no secrets known). Header names in lower case."""
    if not secrets:
        return "unchecked"
    identity = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    offered = headers.get("webhook-signature", "").split()
    if not (identity and timestamp and offered):
        return "missing"
    if not timestamp.isdecimal() or abs(int(timestamp) - now) > TOLERANCE_SECONDS:
        return "invalid"
    signed = b".".join((identity.encode(), timestamp.encode(), body))
    return "valid" if any(_signature(secret, signed) in offered for secret in secrets) else "invalid"


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

"""Standard Webhooks signatures: what we send is signed, what comes in is verified on the raw bytes before parsing.

A secret is `whsec_` and base64 of 24 to 64 random bytes. While one is being replaced there are two: we sign with both,
newest first, and accept either.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError

from nexus_shared.errors import Flaw, NexusError

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

_PREFIX = "whsec_"
_V1 = re.compile(r"v1,[A-Za-z0-9+/]{43}=")


class SignatureInvalid(NexusError):
    """The signature does not prove who sent this. Which part failed is not told to the caller."""

    status = 401
    slug = "signature-invalid"
    title = "The signature is missing, wrong or too old"


def new_secret() -> str:
    """A fresh secret of 32 random bytes."""
    return _PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def secret_flaws(secret: str, pointer: str) -> list[Flaw]:
    """What is wrong with a secret somebody brings along; the sentence never repeats it."""
    if _is_secret(secret):
        return []
    return [Flaw(pointer, "Expected 'whsec_' and base64 of 24 to 64 random bytes.", "secret")]


def sign(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of this attempt: `message_id` stays the same over attempts, `at` (aware) is the attempt's time.

    `body` is UTF-8, as sent. Without secrets there is no signature. Raises ValueError for a secret of another format or
    a body that is not UTF-8.
    """
    text = body.decode()
    moment = at.astimezone(UTC)
    headers = {ID: message_id, TIMESTAMP: str(int(moment.timestamp()))}
    if secrets:
        headers[SIGNATURE] = " ".join([_signer(secret).sign(message_id, moment, text) for secret in secrets])
    return headers


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Returns when one of the secrets signed these bytes within five minutes of now, else raises SignatureInvalid."""
    lowered = {name.lower(): value for name, value in headers.items()}
    # The library stumbles over a signature it does not know; others may stand beside ours.
    lowered[SIGNATURE] = " ".join(part for part in lowered.get(SIGNATURE, "").split() if _V1.fullmatch(part))
    if not any(_is_signed(secret, lowered, body) for secret in secrets):
        raise SignatureInvalid


def _is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        _signer(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, UnicodeDecodeError):
        return False
    return True


def _signer(secret: str) -> Webhook:
    if not _is_secret(secret):
        raise ValueError("A webhook secret is 'whsec_' and base64 of 24 to 64 bytes")
    return Webhook(secret)


def _is_secret(secret: str) -> bool:
    try:
        raw = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return secret.startswith(_PREFIX) and 24 <= len(raw) <= 64

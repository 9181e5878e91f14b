"""Key lists as they stand in settings: "kid:base64,kid:base64", the first one is current."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import PlainValidator
from pydantic_settings import NoDecode

KEY_BYTES = 32

_KID = re.compile(r"^[A-Za-z0-9_-]{1,32}$")


class Keys(dict[str, bytes]):
    """Keys of 32 bytes by their kid, in the order given; prints kids only, so that no log ever shows a key."""

    @property
    def current(self) -> str:
        """The kid that new things are signed or sealed with."""
        return next(iter(self))

    def __repr__(self) -> str:
        return f"Keys({', '.join(self)})"

    __str__ = __repr__


def parse_key(text: str) -> bytes:
    """32 bytes from base64 or base64url, padded or not. Raises ValueError, which never quotes the text."""
    standard = text.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("A key must be 32 bytes in base64; this one is not base64.") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"A key must be 32 bytes in base64; this one has {len(key)}.")
    return key


def parse_keys(text: str | Keys) -> Keys:
    """Reads a key list. Raises ValueError that names the place in the list, never a key."""
    if isinstance(text, Keys):
        return text
    keys = Keys()
    for place, entry in enumerate(text.split(","), start=1):
        kid, _, key = entry.strip().partition(":")
        if _KID.match(kid) is None or not key:
            raise ValueError(
                f"Entry {place} of the key list must look like kid:base64 (kid: letters, digits, - _)."
            )
        if kid in keys:
            raise ValueError(f"Entry {place} of the key list repeats the kid '{kid}'.")
        keys[kid] = parse_key(key)
    return keys


def format_keys(keys: dict[str, bytes]) -> str:
    """The text `parse_keys` reads, in base64url."""
    return ",".join(f"{kid}:{base64.urlsafe_b64encode(key).decode()}" for kid, key in keys.items())


KeyList = Annotated[Keys, NoDecode, PlainValidator(parse_keys)]
"""The type of a settings field that holds a key list."""

Key = Annotated[
    bytes, NoDecode, PlainValidator(lambda value: value if isinstance(value, bytes) else parse_key(value))
]
"""The type of a settings field that holds one key."""

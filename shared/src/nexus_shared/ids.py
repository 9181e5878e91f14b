"""Identifiers: derived wherever a crash or a replay must arrive at the same one."""

from __future__ import annotations

import re
from typing import NewType
from uuid import UUID, uuid5

TenantId = NewType("TenantId", str)

NAMESPACE = UUID("6f1d9a52-9c4e-5b6e-8a57-6e65787573a1")
TENANT_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
PLATFORM = TenantId("nexus")
"""The slug no clinic can have: it names the platform itself, and keys of batches that mix tenants."""

_TENANT = re.compile(TENANT_PATTERN.removesuffix("$"))  # Python's $ would let a line feed pass


def derive(*parts: str | int | UUID) -> UUID:
    """The one id for these parts: the same after every crash, redelivery and replay."""
    texts = [str(part) for part in parts]
    name = "|".join(texts)
    if "\\" in name or name.count("|") >= len(
        texts
    ):  # publishers choose ids: ("a|b", "c") is not ("a", "b|c")
        name = "|".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in texts)
    return uuid5(NAMESPACE, name)


def is_tenant_id(text: str) -> bool:
    """True for a slug or UUID of 1 to 63 lower-case letters, digits and hyphens."""
    return _TENANT.fullmatch(text) is not None

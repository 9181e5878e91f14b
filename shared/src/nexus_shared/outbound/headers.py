"""Which request headers a tenant may set on our calls. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nexus_shared.errors import Flaw

MAX_HEADERS = 32
MAX_VALUE = 4096
MAX_TOTAL = 8192

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OURS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def header_flaws(headers: Mapping[str, str], pointer: str) -> list[Flaw]:
    """What is wrong with a tenant's headers, at `pointer`/<name>; values never appear in a flaw: they are secrets."""
    flaws = [
        Flaw(f"{pointer}/{_escaped(name)}", problem, "header")
        for name, value in headers.items()
        if (problem := _problem(name, value)) is not None
    ]
    if len(headers) > MAX_HEADERS or sum(map(len, [*headers, *headers.values()])) > MAX_TOTAL:
        flaws.append(
            Flaw(pointer, f"Use at most {MAX_HEADERS} headers of {MAX_TOTAL} characters in all.", "header")
        )
    return flaws


def _problem(name: str, value: str) -> str | None:
    if not _NAME.fullmatch(name):
        return "A header's name has letters, digits and hyphens only, and at most 128 of them."
    lowered = name.lower()
    if lowered in _OURS or lowered.startswith("webhook-"):
        return f"'{name}' is set by us. Choose another header."
    if len(value) > MAX_VALUE:
        return f"The value of '{name}' is too long; use at most {MAX_VALUE} characters."
    if not _VALUE.fullmatch(value):
        return f"The value of '{name}' may have printable ASCII characters only, and no line breaks."
    return None


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

"""Keys taken back before they expire, known in memory so that no request waits for a look-up."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

REMEMBER_SECONDS = 120.0


class Revocations:
    """The jtis of revoked keys.

    A list that was read before a revocation and arrives after it must not give the key back, so what `revoke` was
    told stays revoked for `REMEMBER_SECONDS`, whatever lists say meanwhile.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listed: frozenset[str] = frozenset()
        self._told: dict[str, float] = {}

    def revoke(self, jti: str) -> None:
        """From now on this key is refused."""
        self._told[jti] = self._clock()

    def replace(self, jtis: Iterable[str]) -> None:
        """The full list of revoked keys that have not expired yet."""
        self._listed = frozenset(jtis)
        forget = self._clock() - REMEMBER_SECONDS
        self._told = {jti: at for jti, at in self._told.items() if at > forget}

    def is_revoked(self, jti: str) -> bool:
        return jti in self._listed or jti in self._told


async def refresh(revocations: Revocations, current: Callable[[], Awaitable[Iterable[str]]]) -> None:
    """One round of the job that keeps the list fresh; `current` reads it. Where reading fails the old list stands."""
    revocations.replace(await current())

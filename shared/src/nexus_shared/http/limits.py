"""A rate limit per key, in this process: for load that must not reach the store, not for accounting."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from nexus_shared.errors import NexusError

MAX_KEYS = 10_000


class RateLimited(NexusError):
    """More than 500 events a second. Wait 2 seconds, then go on."""

    status = 429
    slug = "rate-limited"
    title = "Too much at once"

    def __init__(self, rate: float, wait_seconds: int) -> None:
        super().__init__(
            f"More than {rate:g} a second. Wait {wait_seconds} s, then go on.",
            headers={"Retry-After": str(wait_seconds)},
        )


class RateLimit:
    """Token buckets: `rate` per second on average, `burst` at once, for each key (an API key's jti, a tenant).

    At most `max_keys` are remembered; the one unused for longest is forgotten, that is, its bucket is full again.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, amount: float = 1) -> None:
        """Takes `amount` or raises RateLimited and takes nothing.

        More than a burst at once passes when the bucket is full and leaves a debt, else it could never pass.
        """
        now = self._clock()
        level, since = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        needed = min(amount, self._burst)
        passes = level >= needed
        self._buckets[key] = (level - amount if passes else level, now)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        if not passes:
            raise RateLimited(self._rate, math.ceil((needed - level) / self._rate))

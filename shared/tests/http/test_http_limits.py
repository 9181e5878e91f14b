from __future__ import annotations

import pytest

from nexus_shared.http.limits import RateLimit, RateLimited


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(limit: RateLimit, key: str, amount: float = 1) -> str | None:
    try:
        limit.take(key, amount)
    except RateLimited as answer:
        return answer.headers["Retry-After"]
    return None


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = Clock()
    limit = RateLimit(rate=10, burst=20, clock=clock)

    passed = sum(refused(limit, "key") is None for _ in range(50))
    for _ in range(100):
        clock.now += 0.01
        passed += refused(limit, "key") is None

    assert passed == pytest.approx(30, abs=1)


def test_a_refusal_says_when_it_will_pass() -> None:
    clock = Clock()
    limit = RateLimit(rate=10, burst=100, clock=clock)
    limit.take("key", 100)

    wait = refused(limit, "key", 45)

    assert wait == "5"
    clock.now += 4.4
    assert refused(limit, "key", 45) is not None
    clock.now += 0.2
    assert refused(limit, "key", 45) is None


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    limit = RateLimit(rate=1, burst=10, clock=clock)
    limit.take("key", 8)

    assert refused(limit, "key", 5) is not None

    assert refused(limit, "key", 2) is None


def test_a_batch_larger_than_the_burst_passes_once_and_leaves_a_debt() -> None:
    clock = Clock()
    limit = RateLimit(rate=100, burst=200, clock=clock)

    assert refused(limit, "key", 500) is None

    assert refused(limit, "key") == "4"
    clock.now += 3.02
    assert refused(limit, "key") is None


def test_one_key_does_not_slow_another() -> None:
    limit = RateLimit(rate=1, burst=1, clock=Clock())
    limit.take("loud")

    assert refused(limit, "loud") == "1"
    assert refused(limit, "quiet") is None


def test_memory_is_bounded_and_the_busiest_keys_are_kept() -> None:
    limit = RateLimit(rate=1, burst=1, max_keys=3, clock=Clock())
    limit.take("loud")

    for number in range(1000):
        limit.take(f"key-{number}")
        assert refused(limit, "loud") is not None

    assert len(limit._buckets) == 3

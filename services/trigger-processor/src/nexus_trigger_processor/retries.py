"""What an attempt at a webhook came to, and when the next one is due. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random

from nexus_shared.envelope import RetryPolicy

WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=24),
)
"""After the first attempt, which is made at once, after the second, and so on; the last one from then on."""
JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=24)
MOST_TRIES_OF_A_NO = 3
"""A 3xx or 4xx will hardly change by itself, but receivers answer 404 while they are being deployed."""

_ASKS_FOR_PATIENCE = frozenset({408, 425, 429})


class OutcomeKind(StrEnum):
    """succeeded: 2xx. failed_retryable: known not to have worked. failed_final: cannot work, ever. gone: 410, disable
    the endpoint. unknown: sent, but no answer came, so it may have worked. refused: not sent, we do not call there.
    """

    SUCCEEDED = "succeeded"
    FAILED_RETRYABLE = "failed_retryable"
    FAILED_FINAL = "failed_final"
    GONE = "gone"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt. `code` is stable and short enough for a metric's label, `reason` a sentence for a person.

    `response` is the redacted beginning of the answer, at most 2 KiB; it may repeat personal data that we sent.
    `max_attempts` lowers the policy's number for this answer.
    """

    kind: OutcomeKind
    code: str
    reason: str
    latency_ms: float
    status: int | None = None
    response: str = ""
    retry_after: timedelta | None = None
    max_attempts: int | None = None


def verdict(status: int) -> tuple[OutcomeKind, int | None]:
    """What an answer's status means, and the most attempts it is worth, if fewer than the policy's."""
    if 200 <= status < 300:
        return OutcomeKind.SUCCEEDED, None
    if status == 410:
        return OutcomeKind.GONE, None
    if status in _ASKS_FOR_PATIENCE or status >= 500:
        return OutcomeKind.FAILED_RETRYABLE, None
    return OutcomeKind.FAILED_RETRYABLE, MOST_TRIES_OF_A_NO


def next_attempt(
    attempt: int, outcome: Outcome, now: datetime, policy: RetryPolicy, rng: Random
) -> datetime | None:
    """When to try again after the `attempt`-th (1 is the first) came to `outcome`; None for never, by ourselves.

    The schedule's wait, give or take a fifth, or what the receiver asks for if that is longer (up to 24 h, plus up to a
    fifth so that not everybody comes back at once). An unknown outcome is tried again only where the policy says so.
    """
    if not _is_worth_trying(outcome.kind, policy):
        return None
    if attempt >= min(policy.max_attempts, outcome.max_attempts or policy.max_attempts):
        return None
    wait = WAITS[min(attempt, len(WAITS)) - 1] * rng.uniform(1 - JITTER, 1 + JITTER)
    asked = min(outcome.retry_after or timedelta(), LONGEST_RETRY_AFTER)
    return now + max(wait, asked * rng.uniform(1, 1 + JITTER))


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """A Retry-After header, in seconds or as a date, as a wait of 0 to 24 hours; None if absent or not understood."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text[:10]), 10**9)), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(timedelta(), min(date - now, LONGEST_RETRY_AFTER))


def _is_worth_trying(kind: OutcomeKind, policy: RetryPolicy) -> bool:
    # A webhook cannot be probed: where the policy does not say "retry", a person decides.
    is_unknown = kind is OutcomeKind.UNKNOWN and policy.on_unknown == "retry"
    return is_unknown or kind is OutcomeKind.FAILED_RETRYABLE

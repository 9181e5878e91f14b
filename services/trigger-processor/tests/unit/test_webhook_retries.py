from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_shared.envelope import RetryPolicy
from nexus_trigger_processor.retries import (
    LONGEST_RETRY_AFTER,
    WAITS,
    Outcome,
    OutcomeKind,
    next_attempt,
    parse_retry_after,
    verdict,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = RetryPolicy()

attempts = st.integers(1, 25)
seeds = st.integers(0, 2**32).map(Random)
waits = st.none() | st.timedeltas(timedelta(), timedelta(days=3))
policies = st.builds(
    RetryPolicy, max_attempts=st.integers(1, 20), on_unknown=st.sampled_from(["retry", "probe", "hold"])
)


def an_outcome(
    kind: OutcomeKind = OutcomeKind.FAILED_RETRYABLE,
    retry_after: timedelta | None = None,
    max_attempts: int | None = None,
) -> Outcome:
    return Outcome(kind, "code", "reason", 1.0, retry_after=retry_after, max_attempts=max_attempts)


outcomes = st.builds(an_outcome, st.sampled_from(OutcomeKind), waits, st.sampled_from([None, 3]))


class NoJitter(Random):
    def uniform(self, a: float, b: float) -> float:
        return 1.0


def test_the_schedule_takes_nine_attempts_and_about_forty_two_hours() -> None:
    due, attempt, waited = NOW, 1, []
    while (following := next_attempt(attempt, an_outcome(), due, POLICY, NoJitter())) is not None:
        waited.append(following - due)
        due, attempt = following, attempt + 1
    assert waited == [
        timedelta(seconds=5),
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=24),
    ]
    assert attempt == 9
    assert timedelta(hours=41) < due - NOW < timedelta(hours=43)


@given(attempts, outcomes, policies, seeds)
def test_no_attempt_beyond_the_policy_or_the_answer(
    attempt: int, outcome: Outcome, policy: RetryPolicy, rng: Random
) -> None:
    due = next_attempt(attempt, outcome, NOW, policy, rng)
    if due is not None:
        assert attempt < policy.max_attempts
        assert outcome.max_attempts is None or attempt < outcome.max_attempts


@given(st.integers(1, 8), waits, seeds)
def test_a_wait_is_within_a_fifth_of_the_schedule_or_of_what_the_receiver_asks(
    attempt: int, asked: timedelta | None, rng: Random
) -> None:
    due = next_attempt(attempt, an_outcome(retry_after=asked), NOW, POLICY, rng)
    assert due is not None
    longest = max(WAITS[attempt - 1], min(asked or timedelta(), LONGEST_RETRY_AFTER))
    assert WAITS[attempt - 1] * 0.799 <= due - NOW <= longest * 1.201


@given(st.integers(1, 8), st.timedeltas(timedelta(), LONGEST_RETRY_AFTER), seeds)
def test_a_receiver_is_never_called_before_it_asked_to_be(
    attempt: int, asked: timedelta, rng: Random
) -> None:
    due = next_attempt(attempt, an_outcome(retry_after=asked), NOW, POLICY, rng)
    assert due is not None
    assert due >= NOW + asked


@given(attempts, policies, waits, seeds)
def test_what_is_done_gone_final_or_refused_is_not_tried_again(
    attempt: int, policy: RetryPolicy, asked: timedelta | None, rng: Random
) -> None:
    for kind in (OutcomeKind.SUCCEEDED, OutcomeKind.GONE, OutcomeKind.FAILED_FINAL, OutcomeKind.REFUSED):
        assert next_attempt(attempt, an_outcome(kind, asked), NOW, policy, rng) is None


@pytest.mark.parametrize(("on_unknown", "tries"), [("retry", True), ("hold", False), ("probe", False)])
def test_an_unknown_outcome_is_tried_again_only_where_the_policy_says_so(
    on_unknown: str, tries: bool
) -> None:
    policy = RetryPolicy.model_validate({"on_unknown": on_unknown})
    due = next_attempt(1, an_outcome(OutcomeKind.UNKNOWN), NOW, policy, Random(1))
    assert (due is not None) == tries


def test_a_longer_policy_goes_on_daily() -> None:
    policy = RetryPolicy(max_attempts=20)
    assert next_attempt(19, an_outcome(), NOW, policy, NoJitter()) == NOW + timedelta(hours=24)
    assert next_attempt(20, an_outcome(), NOW, policy, NoJitter()) is None


@pytest.mark.parametrize(
    ("status", "kind", "most"),
    [
        (200, OutcomeKind.SUCCEEDED, None),
        (204, OutcomeKind.SUCCEEDED, None),
        (299, OutcomeKind.SUCCEEDED, None),
        (101, OutcomeKind.FAILED_RETRYABLE, 3),
        (301, OutcomeKind.FAILED_RETRYABLE, 3),
        (308, OutcomeKind.FAILED_RETRYABLE, 3),
        (400, OutcomeKind.FAILED_RETRYABLE, 3),
        (401, OutcomeKind.FAILED_RETRYABLE, 3),
        (404, OutcomeKind.FAILED_RETRYABLE, 3),
        (408, OutcomeKind.FAILED_RETRYABLE, None),
        (410, OutcomeKind.GONE, None),
        (425, OutcomeKind.FAILED_RETRYABLE, None),
        (429, OutcomeKind.FAILED_RETRYABLE, None),
        (500, OutcomeKind.FAILED_RETRYABLE, None),
        (503, OutcomeKind.FAILED_RETRYABLE, None),
        (599, OutcomeKind.FAILED_RETRYABLE, None),
    ],
)
def test_a_status_means_the_same_to_everybody(status: int, kind: OutcomeKind, most: int | None) -> None:
    assert verdict(status) == (kind, most)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", timedelta()),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("86400", timedelta(hours=24)),
        ("86401", timedelta(hours=24)),
        ("9" * 5000, timedelta(hours=24)),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), timedelta(minutes=5)),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), timedelta()),
        (format_datetime(NOW + timedelta(days=30), usegmt=True), timedelta(hours=24)),
        ("Sunday, 01-Mar-26 12:01:00 GMT", timedelta(minutes=1)),
        ("Sun Mar  1 12:01:00 2026", timedelta(minutes=1)),
        ("Sun, 01 Mar 2026 12:01:00 -0000", timedelta(minutes=1)),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٧", None),
        ("Sun, 99 Mar 2026 12:01:00 GMT", None),
    ],
)
def test_a_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, wait: timedelta | None) -> None:
    assert parse_retry_after(header, NOW) == wait


@given(st.text(max_size=60))
def test_any_retry_after_is_a_wait_within_bounds_or_none(header: str) -> None:
    wait = parse_retry_after(header, NOW)
    assert wait is None or timedelta() <= wait <= LONGEST_RETRY_AFTER

"""Proof that nothing is lost and nothing is doubled: sets, compared. Pure; one function per promise."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from tests.harness.evidence import Evidence
from tests.harness.ledger import Identity
from tests.harness.triggers import ACTION

from nexus_shared.ids import derive


@dataclass(frozen=True)
class Violation:
    """A promise that was not kept, how often, and one example."""

    promise: str
    times: int
    example: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.times} times, for example {self.example}"


def violations(evidence: Evidence) -> list[Violation]:
    """Empty when every promise was kept."""
    found = []
    for promise, check in PROMISES.items():
        examples = [str(example) for example in check(evidence)]
        if examples:
            found.append(Violation(promise, len(examples), examples[0]))
    return found


def confirmed_but_gone(evidence: Evidence) -> Iterable[object]:
    stored = {event.identity for event in evidence.stored}
    return evidence.ledger.confirmed - stored - evidence.quarantined


def fit_but_refused(evidence: Evidence) -> Iterable[object]:
    yield from evidence.ledger.refusals
    yield from evidence.quarantined & set(evidence.sent)


def stored_but_never_sent(evidence: Evidence) -> Iterable[object]:
    """Facts of our own services aside."""
    sources = {source for _, source, _ in evidence.sent}
    return {e.identity for e in evidence.stored if e.source in sources} - set(evidence.sent)


def stored_twice(evidence: Evidence) -> Iterable[object]:
    return _repeated(event.identity for event in evidence.stored)


def holes_in_positions(evidence: Evidence) -> Iterator[object]:
    """Within an epoch positions run 1, 2, 3 …; an epoch begins where the log says."""
    expected = None
    for event in evidence.stored:
        if event.position in evidence.epochs:
            expected = event.position
        if expected != event.position:
            yield f"position {event.position} where {expected} was due"
        expected = event.position + 1


def times_that_go_back(evidence: Evidence) -> Iterator[object]:
    for one, next in zip(evidence.stored, evidence.stored[1:], strict=False):
        if next.recorded_at < one.recorded_at:
            yield f"position {next.position}"


def broken_chain(evidence: Evidence) -> Iterator[object]:
    """Every block is the SHA-256 of the one before, its first and last position, and its events' digests."""
    digests = {event.position: event.digest for event in evidence.stored}
    previous, covered = b"\x00", 0
    for first, last, claimed_previous, block_hash in evidence.blocks:
        places = range(first, last + 1)
        content = (
            previous + first.to_bytes(8) + last.to_bytes(8) + b"".join(digests.get(p, b"") for p in places)
        )
        if claimed_previous != previous or hashlib.sha256(content).digest() != block_hash:
            yield f"block of positions {first} to {last}"
        previous, covered = block_hash, covered + len(places)
    if covered != len(evidence.stored):
        yield f"blocks cover {covered} of {len(evidence.stored)} events"


def order_of_subjects(evidence: Evidence) -> Iterator[object]:
    """The store has each subject's events in the order in which their publisher sent them."""
    recorded: dict[tuple[str, str], list[Identity]] = defaultdict(list)
    for event in evidence.stored:
        if event.identity in evidence.sent:
            recorded[(event.tenant_id, event.subject or "")].append(event.identity)
    for subject, sent in evidence.ledger.order.items():
        known = set(recorded[subject])
        if recorded[subject] != [identity for identity in sent if identity in known]:
            yield subject


def expected_runs(evidence: Evidence) -> Counter[tuple[UUID, Identity]]:
    """(trigger, event) of every stored event that a trigger published before it wants."""
    return Counter(
        (published.trigger_id, event.identity)
        for event in evidence.stored
        if event.identity in evidence.sent
        for published in evidence.published
        if event.position > published.effective_after
        and published.trigger.wants(evidence.sent[event.identity])
    )


def runs_missing(evidence: Evidence) -> Iterable[object]:
    return expected_runs(evidence) - _runs(evidence)


def runs_too_many(evidence: Evidence) -> Iterable[object]:
    return _runs(evidence) - expected_runs(evidence)


def decisions_missing_or_doubled(evidence: Evidence) -> Iterator[object]:
    for published in evidence.published:
        wanted = {
            event.position
            for event in evidence.stored
            if (event.tenant_id, event.type) == (published.trigger.tenant_id, published.trigger.event_type)
            and event.position > published.effective_after
        }
        made = {place for trigger, place in evidence.decisions if trigger == published.trigger_id}
        yield from ((published.trigger.name, position) for position in wanted ^ made)
    yield from (key for key, times in evidence.decisions.items() if times != 1)


def counts_of_executions(evidence: Evidence) -> Iterator[object]:
    runs = Counter(run.trigger_id for run in evidence.runs)
    for published in evidence.published:
        counted = evidence.executions.get(published.trigger_id, 0)
        if counted != runs[published.trigger_id]:
            yield f"{published.trigger.name}: {counted} counted, {runs[published.trigger_id]} runs"


def actions_per_run(evidence: Evidence) -> Iterable[object]:
    actions = Counter(action.action_id for action in evidence.actions)
    return (actions - _derived_actions(evidence)) + (_derived_actions(evidence) - actions)


def actions_without_an_end(evidence: Evidence) -> Iterator[object]:
    yield from (action for action in evidence.actions if action.status != "succeeded")
    yield from (run for run in evidence.runs if run.status != "succeeded")


def succeeded_but_not_delivered(evidence: Evidence) -> Iterable[object]:
    answered = {
        delivery.webhook_id
        for delivery in evidence.deliveries
        if delivery.status is not None and 200 <= delivery.status < 300
    }
    return {str(a.action_id) for a in evidence.actions if a.status == "succeeded"} - answered


def delivered_beyond_attempts(evidence: Evidence) -> Iterator[object]:
    """Every request to a receiver is an attempt whose intent was recorded before it."""
    for webhook_id, times in Counter(delivery.webhook_id for delivery in evidence.deliveries).items():
        if times > len(evidence.attempts.get(UUID(webhook_id), ())):
            yield f"{webhook_id} arrived {times} times"


def tried_again_without_need(evidence: Evidence) -> Iterator[object]:
    """Another attempt follows only a failure, an unknown outcome, or a worker that died before it could tell."""
    for attempts in evidence.attempts.values():
        if [attempt.attempt for attempt in attempts] != list(range(1, len(attempts) + 1)):
            yield attempts
        yield from (
            attempt
            for attempt in attempts[:-1]
            if attempt.outcome not in ("failed_retryable", "unknown", None)
        )


def webhook_ids_of_one_match(evidence: Evidence) -> Iterator[object]:
    """One id for one trigger and one event, however often it is sent."""
    ids: dict[tuple[str, Identity], set[str]] = defaultdict(set)
    for delivery in evidence.deliveries:
        ids[(delivery.path, delivery.event)].add(delivery.webhook_id)
    yield from (f"{key}: {found}" for key, found in ids.items() if len(found) > 1)


def deliveries_of_nothing(evidence: Evidence) -> Iterable[object]:
    return {delivery.webhook_id for delivery in evidence.deliveries} - {
        str(action.action_id) for action in evidence.actions
    }


def signatures(evidence: Evidence) -> Iterator[object]:
    yield from (d.webhook_id for d in evidence.deliveries if d.signature != "valid")


def facts_of_runs(evidence: Evidence) -> Iterable[object]:
    """One automation.trigger_fired in the log for each run."""
    told = Counter(event.event_id for event in evidence.stored if event.type == "automation.trigger_fired")
    wanted = Counter(str(derive(run.run_id, "fired")) for run in evidence.runs)
    return (told - wanted) + (wanted - told)


def facts_of_actions(evidence: Evidence) -> Iterable[object]:
    """One outcome in the log for each action that is over."""
    told = Counter(e.event_id for e in evidence.stored if e.type.startswith("automation.action_"))
    wanted = Counter(
        str(derive(action.action_id, action.attempts, action.status))
        for action in evidence.actions
        if action.status in ("succeeded", "failed", "unknown")
    )
    return (told - wanted) + (wanted - told)


def left_undone(evidence: Evidence) -> Iterator[object]:
    waiting = evidence.waiting
    if waiting.pending or waiting.outbox:
        yield str(waiting)
    yield from waiting.behind


PROMISES: dict[str, Callable[[Evidence], Iterable[object]]] = {
    "what was confirmed is recorded or quarantined": confirmed_but_gone,
    "what is fit is not refused": fit_but_refused,
    "nothing is recorded that nobody sent": stored_but_never_sent,
    "an identity is recorded once": stored_twice,
    "positions have no holes": holes_in_positions,
    "recording times never go back": times_that_go_back,
    "the chain of blocks verifies": broken_chain,
    "a subject's events are recorded in the order sent": order_of_subjects,
    "every match has its run": runs_missing,
    "a match has only one run": runs_too_many,
    "every event of a trigger's type has one decision": decisions_missing_or_doubled,
    "executions are counted exactly": counts_of_executions,
    "a run has its one action": actions_per_run,
    "every action and run ends well": actions_without_an_end,
    "what counts as delivered was delivered": succeeded_but_not_delivered,
    "a delivery is an attempt on record": delivered_beyond_attempts,
    "only what may have failed is tried again": tried_again_without_need,
    "one match has one webhook-id": webhook_ids_of_one_match,
    "nothing is delivered that no run asked for": deliveries_of_nothing,
    "every webhook is signed": signatures,
    "each run is told once": facts_of_runs,
    "each action's end is told once": facts_of_actions,
    "nothing is left undone": left_undone,
}


def _repeated(items: Iterable[object]) -> list[object]:
    return [item for item, times in Counter(items).items() if times > 1]


def _runs(evidence: Evidence) -> Counter[tuple[UUID, Identity]]:
    return Counter((run.trigger_id, run.event) for run in evidence.runs)


def _derived_actions(evidence: Evidence) -> Counter[UUID]:
    return Counter(derive(run.run_id, ACTION) for run in evidence.runs)

"""The checker itself: silent about a sound platform, and each promise is one it can find broken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.harness.checker import PROMISES, violations
from tests.harness.evidence import Action, Attempt, Delivery, Evidence, Run, Stored, Waiting
from tests.harness.ledger import Ledger, identity_of
from tests.harness.nemesis import Damage
from tests.harness.triggers import ACTION, Published, every_lead

from nexus_shared.ids import derive
from nexus_shared.testing.builders import a_lead_created

TRIGGER_ID = UUID(int=7)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENTS = [a_lead_created(id=f"e-{n}") for n in (1, 2)]


def sound() -> Evidence:
    """Two events of one lead, one trigger, everything done: the second at its second attempt."""
    ledger = Ledger()
    ledger.attempt(EVENTS)
    ledger.confirm(EVENTS)
    published = Published(every_lead("clinica-sul"), TRIGGER_ID, 0)
    runs = [_run(place) for place in (1, 2)]
    actions = [Action(derive(run.run_id, ACTION), run.run_id, "succeeded", run.position) for run in runs]
    stored = [
        *(
            _stored(place, *identity_of(event), event.type, event.subject)
            for place, event in enumerate(EVENTS, 1)
        ),
        *(_fact(2 + n, "trigger_fired", derive(run.run_id, "fired")) for n, run in enumerate(runs, 1)),
        *(
            _fact(4 + n, "action_succeeded", derive(action.action_id, action.attempts, "succeeded"))
            for n, action in enumerate(actions, 1)
        ),
    ]
    first, second = (action.action_id for action in actions)
    path = published.trigger.path
    return Evidence(
        ledger=ledger,
        published=[published],
        stored=stored,
        epochs=[1],
        blocks=_blocks(stored),
        quarantined=frozenset(),
        decisions={(TRIGGER_ID, 1): 1, (TRIGGER_ID, 2): 1},
        runs=runs,
        actions=actions,
        attempts={
            first: [Attempt(first, 1, "succeeded")],
            second: [Attempt(second, 1, "unknown"), Attempt(second, 2, "succeeded")],
        },
        executions={TRIGGER_ID: 2},
        deliveries=[
            Delivery(str(first), path, 200, "valid", identity_of(EVENTS[0])),
            Delivery(str(second), path, None, "valid", identity_of(EVENTS[1])),
            Delivery(str(second), path, 200, "valid", identity_of(EVENTS[1])),
        ],
        waiting=Waiting(0, 0, 0, [(0, 6, 6, 6)]),
    )


def _run(place: int) -> Run:
    event = identity_of(EVENTS[place - 1])
    return Run(derive(TRIGGER_ID, *event), TRIGGER_ID, *event, place, "succeeded")


def _stored(place: int, tenant_id: str, source: str, id: str, type: str, subject: str | None) -> Stored:
    digest = hashlib.sha256(id.encode()).digest()
    return Stored(place, 0, tenant_id, source, id, type, subject, digest, NOON + timedelta(seconds=place))


def _fact(place: int, what: str, id: UUID) -> Stored:
    return _stored(place, "clinica-sul", "trigger-processor", str(id), f"automation.{what}", "run/1")


def _blocks(stored: list[Stored]) -> list[Any]:
    """Two blocks over everything stored."""
    made, previous, first = [], b"\x00", 1
    for last in (2, len(stored)):
        digests = b"".join(event.digest for event in stored[first - 1 : last])
        block = hashlib.sha256(previous + first.to_bytes(8) + last.to_bytes(8) + digests).digest()
        made.append((first, last, previous, block))
        previous, first = block, last + 1
    return made


def without(items: Any, place: int) -> list[Any]:
    return [item for index, item in enumerate(items) if index != place]


def changed(items: Any, place: int, **values: Any) -> list[Any]:
    return [item._replace(**values) if index == place else item for index, item in enumerate(items)]


def with_ledger(evidence: Evidence, change: Callable[[Ledger], object]) -> Evidence:
    change(evidence.ledger)
    return evidence


TAMPERED: dict[str, Callable[[Evidence], Evidence]] = {
    "what was confirmed is recorded or quarantined": lambda e: replace(e, stored=without(e.stored, 1)),
    "what is fit is not refused": lambda e: replace(e, quarantined=frozenset({identity_of(EVENTS[0])})),
    "nothing is recorded that nobody sent": lambda e: with_ledger(
        e, lambda ledger: ledger.attempted.pop(identity_of(EVENTS[1]))
    ),
    "an identity is recorded once": lambda e: replace(
        e, stored=[*e.stored, e.stored[0]._replace(position=7)]
    ),
    "positions have no holes": lambda e: replace(e, stored=changed(e.stored, 5, position=8)),
    "recording times never go back": lambda e: replace(e, stored=changed(e.stored, 1, recorded_at=NOON)),
    "the chain of blocks verifies": lambda e: replace(e, stored=changed(e.stored, 0, digest=b"other")),
    "a subject's events are recorded in the order sent": lambda e: replace(
        e, stored=[e.stored[1]._replace(position=1), e.stored[0]._replace(position=2), *e.stored[2:]]
    ),
    "every match has its run": lambda e: replace(e, runs=e.runs[:1]),
    "a match has only one run": lambda e: replace(e, runs=[*e.runs, e.runs[0]._replace(run_id=UUID(int=1))]),
    "every event of a trigger's type has one decision": lambda e: replace(e, decisions={(TRIGGER_ID, 1): 2}),
    "executions are counted exactly": lambda e: replace(e, executions={TRIGGER_ID: 3}),
    "a run has its one action": lambda e: replace(e, actions=e.actions[:1]),
    "every action and run ends well": lambda e: replace(e, actions=changed(e.actions, 0, status="failed")),
    "what counts as delivered was delivered": lambda e: replace(e, deliveries=e.deliveries[:2]),
    "a delivery is an attempt on record": lambda e: replace(e, deliveries=[*e.deliveries, e.deliveries[0]]),
    "only what may have failed is tried again": lambda e: replace(
        e, attempts={id: changed(tries, 0, outcome="succeeded") for id, tries in e.attempts.items()}
    ),
    "one match has one webhook-id": lambda e: replace(
        e, deliveries=changed(e.deliveries, 1, webhook_id=e.deliveries[0].webhook_id)
    ),
    "nothing is delivered that no run asked for": lambda e: replace(
        e, deliveries=changed(e.deliveries, 0, webhook_id=str(UUID(int=5)))
    ),
    "every webhook is signed": lambda e: replace(e, deliveries=changed(e.deliveries, 0, signature="missing")),
    "each run is told once": lambda e: replace(e, stored=changed(e.stored, 2, event_id="other")),
    "each action's end is told once": lambda e: replace(e, stored=changed(e.stored, 4, event_id="other")),
    "nothing is left undone": lambda e: replace(e, waiting=Waiting(0, 0, 0, [(0, 6, 5, 5)])),
}


def test_a_sound_platform_has_no_violations() -> None:
    assert violations(sound()) == []


def test_every_promise_has_been_broken_once() -> None:
    assert set(TAMPERED) == set(PROMISES)


@pytest.mark.parametrize("promise", TAMPERED)
def test_a_broken_promise_is_found(promise: str) -> None:
    found = violations(TAMPERED[promise](sound()))

    assert promise in {violation.promise for violation in found}


def test_an_event_that_was_never_confirmed_may_be_recorded_or_not() -> None:
    evidence = sound()
    evidence.ledger.confirmed.clear()
    evidence.ledger.attempt([a_lead_created(number=2, id="never-arrived")])

    assert violations(evidence) == []


def test_an_event_before_a_trigger_was_published_needs_no_run() -> None:
    evidence = sound()
    later = [replace(published, effective_after=1) for published in evidence.published]

    promises = {violation.promise for violation in violations(replace(evidence, published=later))}

    assert promises == {
        "a match has only one run",
        "every event of a trigger's type has one decision",
    }


def test_a_run_without_faults_is_red() -> None:
    assert len(Damage().shortcomings()) == 6
    assert Damage(1, 1, 1, 1, 1, 1, 1, 1, 1).shortcomings() == []

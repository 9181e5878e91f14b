"""Automations: what triggers decided, what became of the actions, and the triggers' own life."""

from __future__ import annotations

from typing import Any

from nexus_shared.catalogue.base import EventData, Part, open_field, personal_field
from nexus_shared.catalogue.event_type import ACTION_OWNERS, TRIGGER_PROCESSOR, Family
from nexus_shared.catalogue.values import Count, Id, Line, Number, Text, When

family = Family("automation", "Automações", owners=(TRIGGER_PROCESSOR,))

RUN = ("run/{run_id}",)
TRIGGER = ("trigger/{trigger_id}",)


@family.event(
    "automation.trigger_fired",
    meaning="A trigger decided to act",
    meaning_pt="Uma automação foi disparada.",
    subjects=RUN,
    used_by="feed",
)
class AutomationTriggerFired(EventData):
    trigger_id: Id = open_field("The trigger", required=True)
    version: Count | None = open_field("The trigger's version that decided")
    decision_id: Id | None = open_field("The decision")
    run_id: Id = open_field("The run that began", required=True)


@family.event(
    "automation.action_suppressed",
    meaning="A trigger matched and kept quiet",
    meaning_pt="Uma automação deixou de agir por causa de uma regra da clínica.",
    subjects=("decision/{decision_id}", *RUN, *TRIGGER),
    used_by="feed",
)
class AutomationActionSuppressed(EventData):
    trigger_id: Id = open_field("The trigger", required=True)
    decision_id: Id | None = open_field("The decision")
    run_id: Id | None = open_field("The run, if one had begun")
    reason: Line | None = open_field(
        "Why, as a code", values=("cooldown", "quiet_hours", "opt_out", "loop", "disabled", "budget", "hold")
    )
    until: When | None = open_field("Until when")


class ActionOutcome(EventData):
    """What became of an action. Runs advance by these facts only."""

    run_id: Id | None = open_field("The run")
    step: Line | None = open_field("The run's step, as the trigger names it")
    kind: Line | None = open_field("What the action does, like send_webhook")
    action_id: Id = open_field("The action: its command's id", required=True)
    status_seq: Count | None = open_field("The action's facts in order; a higher one supersedes")
    attempt: Count | None = open_field("Which attempt, from 1")
    latency_ms: Number | None = open_field("Milliseconds the attempt took")
    error_class: Line | None = open_field("What sort of error, as a code")
    result: dict[str, Any] | None = personal_field("Short answer of the other side")


@family.event(
    "automation.action_succeeded",
    meaning="An action was done",
    meaning_pt="Uma ação de automação foi concluída.",
    subjects=RUN,
    owners=ACTION_OWNERS,
    used_by="feed",
)
class AutomationActionSucceeded(ActionOutcome):
    pass


@family.event(
    "automation.action_failed",
    meaning="An action was given up",
    meaning_pt="Uma ação de automação falhou.",
    subjects=RUN,
    owners=ACTION_OWNERS,
    used_by="feed",
)
class AutomationActionFailed(ActionOutcome):
    pass


@family.event(
    "automation.action_unknown",
    meaning="Nobody knows yet whether an action was done",
    meaning_pt="Ainda não se sabe se uma ação de automação foi concluída.",
    subjects=RUN,
    owners=ACTION_OWNERS,
    used_by="feed",
)
class AutomationActionUnknown(ActionOutcome):
    pass


class Guard(Part):
    """The limit that stopped a trigger."""

    metric: Line | None = open_field("What was measured, like runs_per_minute")
    value: Number | None = open_field("What came out")
    limit: Number | None = open_field("What is allowed")


@family.event(
    "automation.trigger_paused",
    meaning="A trigger was paused by a person, a guard or a breaker",
    meaning_pt="Uma automação foi pausada.",
    subjects=TRIGGER,
    used_by="ops",
)
class AutomationTriggerPaused(EventData):
    trigger_id: Id = open_field("The trigger", required=True)
    by: Line | None = open_field("Who: a user's id, guard or breaker")
    guard: Guard | None = open_field("The limit that was passed")


class TriggerLife(EventData):
    """A step in a trigger's life."""

    trigger_id: Id = open_field("The trigger", required=True)
    version: Count | None = open_field("The trigger's version")
    by: Line | None = open_field("Who did it: a user's or key's id")
    reason: Text | None = personal_field("Why, in words")


@family.event(
    "automation.trigger_published",
    meaning="A trigger's version began to act",
    meaning_pt="Uma automação foi publicada.",
    subjects=TRIGGER,
    used_by="feed",
)
class AutomationTriggerPublished(TriggerLife):
    pass


@family.event(
    "automation.trigger_disabled",
    meaning="A trigger was switched off",
    meaning_pt="Uma automação foi desativada.",
    subjects=TRIGGER,
    used_by="feed",
)
class AutomationTriggerDisabled(TriggerLife):
    pass


@family.event(
    "automation.trigger_deleted",
    meaning="A trigger was deleted",
    meaning_pt="Uma automação foi excluída.",
    subjects=TRIGGER,
    used_by="feed",
)
class AutomationTriggerDeleted(TriggerLife):
    pass

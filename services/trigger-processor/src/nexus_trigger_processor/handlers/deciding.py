"""One event, one trigger: the decision, and if it fires, the run with its actions and the fact that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from nexus_shared.envelope import STRUCTURED
from nexus_shared.facts import Cause, fact_json
from nexus_shared.ids import derive
from nexus_shared.sealing import MasterKeys
from nexus_trigger_processor.domain.actions import CompiledAction
from nexus_trigger_processor.domain.templates import RenderFailed
from nexus_trigger_processor.domain.triggers import CompiledTrigger, Outcome
from nexus_trigger_processor.handlers.live_triggers import Live
from nexus_trigger_processor.store.matching import ActionRow, DecisionRow, RunRow

SOURCE = "trigger-processor"
ACTION_DEADLINE = timedelta(hours=72)


@dataclass
class Plan:
    """What a batch of decisions will leave behind."""

    decisions: list[DecisionRow] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    actions: list[ActionRow] = field(default_factory=list)
    facts: list[bytes] = field(default_factory=list)


class Decider:
    """Turns (event, live trigger) into rows. Ids are derived, so deciding twice gives the same ids."""

    def __init__(
        self,
        master: MasterKeys,
        tenant_values: Callable[[str], Mapping[str, Any]],
        clock: Callable[[], datetime],
    ) -> None:
        self._master, self._tenant_values, self._clock = master, tenant_values, clock

    def decide(self, event: dict[str, Any], live: Live, plan: Plan) -> None:
        """Adds the decision to the plan; nothing when the trigger begins after this event."""
        trigger = live.trigger
        position = int(event["sequence"])
        if position <= trigger.effective_after:
            return
        recorded_at = datetime.fromisoformat(event["recordedtime"])
        age = recorded_at - datetime.fromisoformat(event["time"])
        outcome = trigger.decide(event, hops=event["hops"], age=age)
        run_id = run_id_of(trigger.trigger_id, event) if outcome.kind == "fired" else None
        if run_id is not None:
            try:
                actions = [
                    self._action(event, live, action, run_id, recorded_at) for action in trigger.actions
                ]
            except RenderFailed as failure:
                outcome, run_id = Outcome("error", "template", str(failure), tree=outcome.tree), None
            else:
                plan.actions.extend(actions)
                plan.runs.append(_run(event, trigger, run_id, recorded_at, len(actions)))
                plan.facts.append(self._fired(event, trigger, run_id))
        plan.decisions.append(self._decision(event, trigger, outcome, run_id, recorded_at))

    def _decision(
        self,
        event: dict[str, Any],
        trigger: CompiledTrigger,
        outcome: Outcome,
        run_id: UUID | None,
        at: datetime,
    ) -> DecisionRow:
        detail = orjson.dumps(outcome.as_dict(reveal=True), default=str)
        position = int(event["sequence"])
        return DecisionRow(
            at,
            position,
            trigger.trigger_id,
            trigger.version,
            event["tenantid"],
            event["id"],
            event["source"],
            event["type"],
            event.get("subject"),
            outcome.kind,
            outcome.reason,
            self._master.seal(detail, decision_place(event["tenantid"], trigger.trigger_id, position)),
            run_id,
        )

    def _action(
        self, event: dict[str, Any], live: Live, action: CompiledAction, run_id: UUID, recorded_at: datetime
    ) -> ActionRow:
        action_id = derive(run_id, action.key)
        request = self._request(event, live, action, run_id, action_id)
        return ActionRow(
            action_id,
            recorded_at,
            run_id,
            event["tenantid"],
            action.key,
            action.kind,
            urlsplit(request["url"]).hostname or "",
            self._master.seal(orjson.dumps(request), f"{event['tenantid']}|{action_id}"),
            action.max_attempts,
            "retry",
            self._clock() + ACTION_DEADLINE,
        )

    def _request(
        self, event: dict[str, Any], live: Live, action: CompiledAction, run_id: UUID, action_id: UUID
    ) -> dict[str, Any]:
        """{url, headers, body, content_type}: the body is the event itself when the trigger gives none."""
        values = {
            **event,
            "tenant": self._tenant_values(event["tenantid"]),
            "trigger": {
                "id": str(live.trigger.trigger_id),
                "name": live.name,
                "version": live.trigger.version,
            },
            "run": {"id": str(run_id)},
            "action": {"id": str(action_id), "key": action.key},
        }
        request: dict[str, Any] = action.render(values)
        request["content_type"] = "application/json"
        if request["body"] is None:
            request |= {"body": event, "content_type": STRUCTURED}
        return request

    def _fired(self, event: dict[str, Any], trigger: CompiledTrigger, run_id: UUID) -> bytes:
        cause = Cause(event["id"], event["correlationid"], event["hops"], event.get("traceparent"))
        data = {
            "trigger_id": str(trigger.trigger_id),
            "version": trigger.version,
            "decision_id": str(derive(run_id, "decision")),
            "run_id": str(run_id),
        }
        return fact_json(
            cause,
            id=str(derive(run_id, "fired")),
            source=SOURCE,
            type="automation.trigger_fired",
            tenant_id=event["tenantid"],
            subject=f"run/{run_id}",
            time=self._clock(),
            data=data,
        )


def run_id_of(trigger_id: UUID, event: Mapping[str, Any], generation: int = 0) -> UUID:
    """The same run for the same trigger, event and generation, in every crash and replay."""
    return derive(trigger_id, event["tenantid"], event["source"], event["id"], generation)


def decision_place(tenant_id: str, trigger_id: UUID, position: int) -> str:
    """Where a decision's detail is sealed to."""
    return f"{tenant_id}|{trigger_id}|{position}"


def _run(
    event: Mapping[str, Any], trigger: CompiledTrigger, run_id: UUID, at: datetime, actions: int
) -> RunRow:
    return RunRow(
        run_id,
        at,
        event["tenantid"],
        trigger.trigger_id,
        trigger.version,
        int(event["sequence"]),
        event["id"],
        event["source"],
        event["type"],
        event.get("subject"),
        event["correlationid"],
        event["hops"],
        event.get("traceparent"),
        actions,
    )

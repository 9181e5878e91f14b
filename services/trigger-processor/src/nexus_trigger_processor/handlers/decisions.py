"""Why something fired and why it did not: decisions read again, with personal values masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from nexus_shared.database import Database
from nexus_shared.ids import TenantId
from nexus_shared.sealing import MasterKeys, SealBroken
from nexus_trigger_processor.domain.fields import fields_for
from nexus_trigger_processor.domain.recorded import recorded_outcome
from nexus_trigger_processor.handlers.deciding import decision_place
from nexus_trigger_processor.handlers.telling import Sentence, about_decision
from nexus_trigger_processor.store.decisions import Decision, DecisionFilter, DecisionKey, DecisionStore

__all__ = ["DecisionFilter", "DecisionKey", "DecisionView", "Decisions", "Explainer"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A decision as it is shown: `explanation` has the clause tree with both values of every clause.

    Both are None where the detail cannot be opened any more: its key was destroyed.
    """

    row: Decision
    sentence: Sentence | None
    explanation: Mapping[str, Any] | None


class Explainer:
    """Opens what a decision was sealed with."""

    def __init__(self, master: MasterKeys) -> None:
        self._master = master

    def explain(self, tenant_id: TenantId, row: Decision, *, reveal: bool = False) -> DecisionView:
        if row.detail is None:
            return DecisionView(row, None, None)
        try:
            kept = self._master.open(row.detail, decision_place(tenant_id, row.trigger_id, row.position))
        except SealBroken:
            log.warning("decision_unreadable", position=row.position, trigger_id=str(row.trigger_id))
            return DecisionView(row, None, None)
        outcome = recorded_outcome(orjson.loads(kept), fields_for(row.listens_to))
        sentence = about_decision(outcome, row.listens_to, reveal=reveal)
        return DecisionView(row, sentence, outcome.as_dict(reveal=reveal))


class Decisions:
    def __init__(self, database: Database, store: DecisionStore, explainer: Explainer) -> None:
        self._database, self._store, self._explainer = database, store, explainer

    async def page(
        self, tenant_id: TenantId, narrowed: DecisionFilter, after: DecisionKey | None, limit: int
    ) -> list[DecisionView]:
        """Decisions of the newest events first, personal values masked."""
        async with self._database.tenant(tenant_id) as connection:
            rows = await self._store.page(tenant_id, connection, narrowed, after, limit)
        return [self._explainer.explain(tenant_id, row) for row in rows]

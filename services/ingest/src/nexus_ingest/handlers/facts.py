"""Facts of ingest itself: they go into the log by the same door as everybody's."""

from __future__ import annotations

from nexus_ingest.domain.door import Publisher
from nexus_ingest.handlers.recording import Recorder
from nexus_shared import strict_json
from nexus_shared.envelope import Event

INGEST = Publisher("svc.ingest", None, service="ingest")


class Facts:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def record(self, fact: Event) -> int:
        """Its position. A fact that was recorded before, under the same derived id, keeps the first one's.

        Raises Refused for a fact that contradicts the catalogue.
        """
        (verdict,) = await self._recorder.record([strict_json.inspect(fact.as_dict())], INGEST)
        if verdict.answer is None:
            assert verdict.refused is not None
            raise verdict.refused
        return verdict.answer.position

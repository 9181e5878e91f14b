"""The demo's parts: what it publishes and expects, what it makes of what it sees, its receiver."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx
import pytest

from nexus_cli.demonstration import show
from nexus_cli.demonstration.board import Board
from nexus_cli.demonstration.receiver import Receiver
from nexus_cli.demonstration.scenario import TRIGGERS, events, expected_trigger, person_of
from nexus_cli.launcher.installation import DEMO_TENANT
from nexus_cli.live_events import SseParser, line_of
from nexus_cli.outcomes import EnvironmentNotFit
from nexus_shared import catalogue
from nexus_shared.outbound.signing import new_secret, sign
from nexus_shared.testing.builders import a_lead_created
from nexus_shared.testing.processes import free_port


class TestScenario:
    def test_every_event_is_a_fact_of_the_demo_clinic_that_the_catalogue_accepts(self) -> None:
        for event in islice(events(DEMO_TENANT, seed=1), 60):
            event_type = catalogue.find(event.type)
            assert event_type is not None
            assert event_type.problems(event.data) == []
            assert event.tenantid == DEMO_TENANT
            assert person_of(event)

    def test_no_two_runs_publish_the_same_event(self) -> None:
        first, second = (next(events(DEMO_TENANT, seed=1)) for _ in range(2))
        assert first.id != second.id

    def test_some_events_fire_each_trigger_and_some_fire_none(self) -> None:
        stream = list(islice(events(DEMO_TENANT, seed=1), 60))
        fired = [trigger.name for event in stream if (trigger := expected_trigger(event))]
        assert set(fired) == {trigger.name for trigger in TRIGGERS}
        assert len(fired) < sum(
            event.type in {trigger.event_type for trigger in TRIGGERS} for event in stream
        )

    def test_conditions_ask_for_fields_of_the_catalogue(self) -> None:
        for trigger in TRIGGERS:
            fields = catalogue.fields_of(trigger.event_type)
            assert all(rule["field"] in fields for rule in trigger.rules)


class TestBoard:
    def test_an_event_without_a_trigger_is_complete_once_it_is_recorded(self) -> None:
        board, event = Board(), a_lead_created()
        board.published(event, None, 10.0)
        assert list(board.newly_complete()) == []

        board.recorded(event.id, 7, 10.25)

        (card,) = board.newly_complete()
        assert (card.position, card.recorded_ms) == (7, 250.0)
        assert list(board.newly_complete()) == []

    def test_an_event_with_a_trigger_waits_for_its_webhook(self) -> None:
        board, event = Board(), a_lead_created()
        board.published(event, "boas-vindas", 10.0)
        board.recorded(event.id, 7, 10.1)
        assert board.open

        board.delivered(event.id, 7, 10.5)

        assert not board.open
        assert board.summary()["webhooks_delivered"] == 1
        assert board.summary()["delivered_p50_ms"] == 500.0

    def test_a_second_delivery_changes_no_latency(self) -> None:
        board, event = Board(), a_lead_created()
        board.published(event, "boas-vindas", 0.0)
        board.delivered(event.id, 7, 1.0)
        board.delivered(event.id, 7, 2.0)
        assert board.cards[event.id].delivered_ms == 1000.0
        assert board.cards[event.id].attempts == 2

    def test_a_webhook_nobody_expected_is_counted(self) -> None:
        board, event = Board(), a_lead_created()
        board.published(event, None, 0.0)
        board.delivered(event.id, 7, 1.0)
        assert board.summary()["webhooks_unexpected"] == 1

    def test_events_of_others_are_ignored(self) -> None:
        board = Board()
        board.recorded("other", 1, 0.0)
        board.fired("other")
        board.delivered("other", 1, 0.0)
        assert board.summary()["published"] == 0

    def test_a_line_names_the_person_the_position_and_the_latency(self) -> None:
        board, event = Board(), a_lead_created(number=3)
        board.published(event, "boas-vindas", 0.0)
        board.recorded(event.id, 7, 0.004)
        board.delivered(event.id, 7, 0.011)
        text = show.line(board.cards[event.id])
        assert event.data["name"] in text
        assert "#7 4 ms" in text
        assert "webhook 11 ms" in text


class TestReceiver:
    @pytest.fixture
    async def seen(self) -> list[dict[str, Any]]:
        return []

    @pytest.fixture
    async def receiver(self, seen: list[dict[str, Any]]) -> AsyncIterator[Receiver]:
        async with Receiver(free_port(), SECRET, lambda event, at: seen.append(event)) as receiver:
            yield receiver

    async def test_a_signed_webhook_is_taken(self, receiver: Receiver, seen: list[dict[str, Any]]) -> None:
        body = a_lead_created().to_json()
        headers = sign([SECRET], "action-1", datetime.now(UTC), body)
        async with httpx.AsyncClient() as client:
            answer = await client.post(receiver.url, content=body, headers=headers)
        assert answer.status_code == 204
        assert [event["type"] for event in seen] == ["lead.created"]

    async def test_a_webhook_with_a_wrong_signature_is_refused_and_counted(
        self, receiver: Receiver, seen: list[dict[str, Any]]
    ) -> None:
        body = a_lead_created().to_json()
        headers = sign([new_secret()], "action-1", datetime.now(UTC), body)
        async with httpx.AsyncClient() as client:
            answer = await client.post(receiver.url, content=body, headers=headers)
        assert answer.status_code == 401
        assert receiver.refused == 1
        assert seen == []

    async def test_a_second_receiver_on_the_port_says_so(self, receiver: Receiver) -> None:
        port = httpx.URL(receiver.url).port or 0
        with pytest.raises(EnvironmentNotFit, match=f"Port {port} is in use"):
            async with Receiver(port, SECRET, lambda event, at: None):
                pass


SECRET = new_secret()


class TestLiveFeed:
    def test_lines_become_updates_and_heartbeats_do_not(self) -> None:
        parser = SseParser()
        event = {"type": "lead.created", "subject": "lead/1", "source": "crm", "time": "2026-11-23T12:30:00Z"}
        lines = [
            ": still here",
            "",
            "id: 42",
            "event: lead.created",
            f"data: {json.dumps(event)}",
            "",
            ": x",
            "",
        ]
        updates = [update for line in lines if (update := parser.feed(line))]
        assert [(update.id, update.event["type"]) for update in updates] == [("42", "lead.created")]
        assert parser.last_id == "42"
        assert line_of(updates[0]) == "#42  12:30:00  lead.created  lead/1  from crm"

    def test_data_over_several_lines_is_one(self) -> None:
        parser = SseParser()
        assert parser.feed("data: [1,") is None
        assert parser.feed("data: 2]") is None
        update = parser.feed("")
        assert update is not None
        assert json.loads(update.data) == [1, 2]

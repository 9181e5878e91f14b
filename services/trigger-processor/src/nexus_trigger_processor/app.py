"""trigger-processor, put together: read this first. Log → match → actions → webhooks → outcomes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from nexus_shared import crashpoints
from nexus_shared.access.tokens import TokenVerifier
from nexus_shared.database import Database
from nexus_shared.database.outbox import Outbox, OutboxStore
from nexus_shared.http.app import create_api
from nexus_shared.jobs import Job
from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.observability import logs, metrics, tracing
from nexus_shared.outbound.addresses import OutboundPolicy
from nexus_shared.outbound.headers import header_flaws
from nexus_shared.outbound.signing import secret_flaws
from nexus_shared.runtime import Service, run
from nexus_shared.sealing import MasterKeys
from nexus_trigger_processor import jobs, subscribers
from nexus_trigger_processor.api import dead_letters, decisions, runs, triggers
from nexus_trigger_processor.client import AiohttpWebhookClient
from nexus_trigger_processor.domain.actions import OutsideChecks
from nexus_trigger_processor.handlers.action_secrets import ActionSecrets
from nexus_trigger_processor.handlers.dead_letters import DeadLetters, Undertaker
from nexus_trigger_processor.handlers.deciding import Decider
from nexus_trigger_processor.handlers.decisions import Decisions, Explainer
from nexus_trigger_processor.handlers.lane_reports import LaneReports
from nexus_trigger_processor.handlers.live_triggers import LiveTriggers
from nexus_trigger_processor.handlers.matching import Matcher
from nexus_trigger_processor.handlers.measuring import Gauges
from nexus_trigger_processor.handlers.publishing import Publishing
from nexus_trigger_processor.handlers.reacting import Reactions
from nexus_trigger_processor.handlers.runs import Interventions, Runs
from nexus_trigger_processor.handlers.sending import Sender, Settler
from nexus_trigger_processor.handlers.triggers import Triggers
from nexus_trigger_processor.measures import Measures
from nexus_trigger_processor.settings import Settings
from nexus_trigger_processor.store.dead_letters import DeadLetterStore
from nexus_trigger_processor.store.decisions import DecisionStore
from nexus_trigger_processor.store.matching import MatchingStore
from nexus_trigger_processor.store.measuring import MeasuringStore
from nexus_trigger_processor.store.platform import PlatformStore
from nexus_trigger_processor.store.runs import RunStore
from nexus_trigger_processor.store.sending import SendingStore
from nexus_trigger_processor.store.triggers import TriggerStore


def build(settings: Settings) -> Service:
    """Everything this process runs, wired by hand."""
    worker = f"{socket.gethostname()}-{os.getpid()}"
    registry = metrics.new_registry("trigger-processor")
    measures = Measures(registry)
    database = Database(settings.database_url, settings.database_api_url, service="trigger-processor")
    master = MasterKeys(settings.master_keys)
    publisher = Publisher(settings.amqp_url, "trigger-processor")
    outbox_store, matching, platform = OutboxStore(database), MatchingStore(), PlatformStore(database)
    outbox = Outbox(outbox_store, publisher)
    reports = LaneReports(publisher, platform)
    reactions = Reactions(platform)
    access = TokenVerifier(settings.token_public_keys)

    sending_store = SendingStore(database, worker)
    outbound = OutboundPolicy.parse(settings.outbound_allow)
    sender = Sender(
        sending_store,
        lambda: AiohttpWebhookClient(outbound, connections=settings.send_slots * 2),
        Settler(database, sending_store, outbox_store, outbox, master, measures),
        master,
        slots=settings.send_slots,
    )
    sending = jobs.sending(sender)
    matcher = Matcher(
        database,
        matching,
        LiveTriggers(matching),
        Decider(master, reactions.tenant_values, lambda: datetime.now(UTC)),
        reactions,
        outbox,
        measures,
        on_actions=sending.wake.set,
        on_hole=reports.hole,
    )
    loops: list[Job] = [
        jobs.sweeping(outbox),
        jobs.measuring(Gauges(measures, MeasuringStore(database), outbox_store, platform)),
        jobs.knowing(reactions, platform, access.revocations),
        jobs.partitions(platform, settings.retention_weeks),
    ]
    loops += [sending] if settings.plays("send") else []
    loops += jobs.reporting(reports) if settings.plays("match") else []
    checks = OutsideChecks(outbound.flaws, header_flaws, secret_flaws)
    api = create_api(
        title="Nexus trigger-processor",
        service="trigger-processor",
        routers=routes(database, master, checks, outbox_store, outbox, on_actions=sending.wake.set),
        readiness={"postgres": database.is_up, "rabbitmq": publisher.is_connected},
        registry=registry,
        access=access,
    )
    readers: list[BatchReader[Any]] = [
        subscribers.lanes(settings.amqp_url, matcher),
        subscribers.dead_letters(settings.amqp_url, Undertaker(DeadLetterStore(database), master)),
    ]
    return Service(
        name="trigger-processor",
        api=api,
        host=settings.http_host,
        port=settings.http_port,
        resources=[database],
        readers=readers if settings.plays("match") else [],
        subscribers=subscribers.commands(settings.amqp_url, matcher) if settings.plays("match") else None,
        jobs=loops,
        on_stop=[sender.close, outbox.close, publisher.close],
    )


def routes(
    database: Database,
    master: MasterKeys,
    checks: OutsideChecks,
    outbox_store: OutboxStore,
    outbox: Outbox,
    *,
    on_actions: Callable[[], None],
) -> list[APIRouter]:
    """The public API, with the use cases behind it. `on_actions` wakes the sender."""
    trigger_store, run_store, decision_store = TriggerStore(), RunStore(), DecisionStore()
    explainer = Explainer(master)
    return [
        triggers.routes(
            Triggers(database, trigger_store, ActionSecrets(trigger_store, master), checks),
            Publishing(database, trigger_store, checks, outbox_store, outbox),
        ),
        runs.routes(
            Runs(database, run_store, decision_store, explainer, master),
            Interventions(database, run_store, on_actions=on_actions),
        ),
        decisions.routes(Decisions(database, decision_store, explainer)),
        dead_letters.routes(DeadLetters(database, DeadLetterStore(database), master)),
    ]


def main() -> None:
    settings = Settings()
    crashpoints.arm(settings.crash_at)
    logs.configure("trigger-processor", settings.log_level, settings.log_format)
    tracing.configure("trigger-processor", settings.otlp_endpoint)
    run(build(settings))

"""trigger-processor, put together: read this first. Log → match → actions → webhooks → outcomes."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime

from nexus_shared import crashpoints
from nexus_shared.access.tokens import TokenVerifier
from nexus_shared.database import Database
from nexus_shared.database.outbox import Outbox, OutboxStore
from nexus_shared.http.app import create_api
from nexus_shared.jobs import Job
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.observability import logs, metrics, tracing
from nexus_shared.outbound.addresses import OutboundPolicy
from nexus_shared.runtime import Service, run
from nexus_shared.sealing import MasterKeys
from nexus_trigger_processor import jobs, subscribers
from nexus_trigger_processor.client import AiohttpWebhookClient
from nexus_trigger_processor.handlers.deciding import Decider
from nexus_trigger_processor.handlers.lane_reports import LaneReports
from nexus_trigger_processor.handlers.live_triggers import LiveTriggers
from nexus_trigger_processor.handlers.matching import Matcher
from nexus_trigger_processor.handlers.reacting import Reactions
from nexus_trigger_processor.handlers.sending import Sender, Settler
from nexus_trigger_processor.settings import Settings
from nexus_trigger_processor.store.matching import MatchingStore
from nexus_trigger_processor.store.platform import PlatformStore
from nexus_trigger_processor.store.sending import SendingStore


def build(settings: Settings) -> Service:
    """Everything this process runs, wired by hand."""
    worker = f"{socket.gethostname()}-{os.getpid()}"
    registry = metrics.new_registry("trigger-processor")
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
        Settler(database, sending_store, outbox_store, outbox, master),
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
        on_actions=sending.wake.set,
        on_hole=reports.hole,
    )
    loops: list[Job] = [
        jobs.sweeping(outbox),
        jobs.knowing(reactions, platform, access.revocations),
        jobs.partitions(platform, settings.retention_weeks),
    ]
    loops += [sending] if settings.plays("send") else []
    loops += jobs.reporting(reports) if settings.plays("match") else []
    api = create_api(
        title="Nexus trigger-processor",
        service="trigger-processor",
        routers=[],
        readiness={"postgres": database.is_up, "rabbitmq": publisher.is_connected},
        registry=registry,
        access=access,
    )
    return Service(
        name="trigger-processor",
        api=api,
        host=settings.http_host,
        port=settings.http_port,
        resources=[database],
        readers=[subscribers.lanes(settings, matcher)] if settings.plays("match") else [],
        subscribers=subscribers.commands(settings, matcher) if settings.plays("match") else None,
        jobs=loops,
        on_stop=[sender.close, outbox.close, publisher.close],
    )


def main() -> None:
    settings = Settings()
    crashpoints.arm(settings.crash_at)
    logs.configure("trigger-processor", settings.log_level, settings.log_format)
    tracing.configure("trigger-processor", settings.otlp_endpoint)
    run(build(settings))

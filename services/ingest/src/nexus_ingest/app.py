"""ingest, put together: read this first. Inbound queue and HTTP → door → append → relay."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta

from nexus_ingest import jobs, subscribers
from nexus_ingest.api import publishing
from nexus_ingest.domain.tail import Tail
from nexus_ingest.handlers.appending import Appender
from nexus_ingest.handlers.quarantine import Quarantine
from nexus_ingest.handlers.reading import LogReader
from nexus_ingest.handlers.recording import Recorder
from nexus_ingest.handlers.relaying import Relay, Resender, for_events, for_log
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.settings import Settings
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.log import LogStore
from nexus_ingest.store.quarantine import QuarantineStore
from nexus_ingest.store.relays import RelayStore
from nexus_shared import crashpoints, wire
from nexus_shared.access.tokens import TokenVerifier
from nexus_shared.database import Database
from nexus_shared.http.app import create_api
from nexus_shared.http.limits import RateLimit
from nexus_shared.jobs import Job
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.observability import logs, metrics, tracing
from nexus_shared.runtime import Service, run
from nexus_shared.sealing import MasterKeys

DEDUPE_WINDOW = timedelta(days=35)


def build(settings: Settings) -> Service:
    """Everything this process runs, wired by hand."""
    instance = f"{socket.gethostname()}-{os.getpid()}"
    registry = metrics.new_registry("ingest")
    database = Database(settings.database_url, settings.database_api_url, service="ingest")
    master = MasterKeys(settings.master_keys)
    log = LogStore(database, writer=instance)
    relays = RelayStore(database, owner=instance)
    sealer = Sealer(KeyStore(database), master)
    tail = Tail()

    publisher = Publisher(settings.amqp_url, "ingest-relay")
    fanout_publisher = Publisher(settings.amqp_url, "ingest-fanout")
    log_relay = Relay(
        "log",
        for_log,
        relays=relays,
        log=LogReader(log, sealer, tail),
        publisher=publisher,
        has_beacons=True,
    )
    fanout = Relay(
        "events", for_events, relays=relays, log=LogReader(log, sealer, tail), publisher=fanout_publisher
    )
    active = [relay for relay, role in ((log_relay, "relay"), (fanout, "fanout")) if settings.plays(role)]
    relaying = [jobs.relaying(f"relay-{number}", relay) for number, relay in enumerate(active)]
    loops: list[Job] = [*relaying, jobs.partitions(log, settings.retention_weeks)]

    def wake() -> None:
        for job in relaying:
            job.wake.set()

    appender = Appender(log, tail, on_append=wake)
    recorder = Recorder(
        appender,
        sealer,
        Quarantine(QuarantineStore(database), master),
        digest_key=master.derived("digest"),
        clock=lambda: datetime.now(UTC),
        window=DEDUPE_WINDOW,
    )
    access = TokenVerifier(settings.token_public_keys)
    api = create_api(
        title="Nexus ingest",
        service="ingest",
        routers=[publishing.routes(recorder, RateLimit(settings.publish_rate, settings.publish_burst))],
        readiness={"postgres": database.is_up, "rabbitmq": publisher.is_connected},
        registry=registry,
        access=access,
        body_limits={"/v1/events": wire.MAX_BATCH_BYTES},
    )
    return Service(
        name="ingest",
        api=api,
        host=settings.http_host,
        port=settings.http_port,
        resources=[database],
        readers=[subscribers.inbound(settings, recorder)] if settings.plays("record") else [],
        subscribers=subscribers.commands(
            settings, Resender(relays, LogReader(log, sealer, tail), publisher), relays
        ),
        jobs=loops,
        on_stop=[relay.resign for relay in active] + [publisher.close, fanout_publisher.close],
    )


def main() -> None:
    settings = Settings()
    crashpoints.arm(settings.crash_at)
    logs.configure("ingest", settings.log_level, settings.log_format)
    tracing.configure("ingest", settings.otlp_endpoint)
    run(build(settings))

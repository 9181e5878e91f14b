"""ingest, put together: read this first. Inbound queue and HTTP → door → append → relay."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI

from nexus_ingest import jobs, subscribers
from nexus_ingest.api import erasures, events, publishing, quarantine, tenants, tokens, watching
from nexus_ingest.api.provided import provide
from nexus_ingest.handlers.api_keys import ApiKeys
from nexus_ingest.handlers.appending import Appender
from nexus_ingest.handlers.erasure import Erasure
from nexus_ingest.handlers.events import Events
from nexus_ingest.handlers.facts import Facts
from nexus_ingest.handlers.feed import Feed
from nexus_ingest.handlers.history import History
from nexus_ingest.handlers.quarantine import Quarantine
from nexus_ingest.handlers.reading import LogReader
from nexus_ingest.handlers.recording import Recorder
from nexus_ingest.handlers.relaying import Relay, Resender, for_events, for_log
from nexus_ingest.handlers.reviewing import Reviewing
from nexus_ingest.handlers.sealing import Sealer
from nexus_ingest.handlers.stats import Stats
from nexus_ingest.handlers.tenants import Tenants
from nexus_ingest.handlers.watching import Watch
from nexus_ingest.meters import MeteredLog, MeteredQuarantine, MeteredTail, Meters
from nexus_ingest.settings import Settings
from nexus_ingest.store.api_keys import ApiKeyStore
from nexus_ingest.store.counts import CountStore
from nexus_ingest.store.erasures import ErasureStore
from nexus_ingest.store.events import EventStore
from nexus_ingest.store.keys import KeyStore
from nexus_ingest.store.progress import ProgressStore
from nexus_ingest.store.relays import RelayStore
from nexus_ingest.store.tenants import TenantStore
from nexus_shared import crashpoints, wire
from nexus_shared.access.tokens import TokenSigner, TokenVerifier
from nexus_shared.database import Database
from nexus_shared.http.app import create_api
from nexus_shared.http.limits import RateLimit
from nexus_shared.jobs import Job
from nexus_shared.messaging.publisher import Publisher
from nexus_shared.observability import logs, metrics, tracing
from nexus_shared.runtime import Service, run
from nexus_shared.sealing import MasterKeys

DEDUPE_WINDOW = timedelta(days=35)


class App:
    """The parts of one process, wired by hand: first what records, then what relays, then what answers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        instance = f"{socket.gethostname()}-{os.getpid()}"
        self.registry = metrics.new_registry("ingest")
        self.meters = Meters(self.registry)
        self.database = Database(settings.database_url, settings.database_api_url, service="ingest")
        self.master = MasterKeys(settings.master_keys)
        self.log = MeteredLog(self.database, instance, self.meters)
        self.tail = MeteredTail(self.meters)
        self.keys = KeyStore(self.database)
        self.sealer = Sealer(self.keys, self.master)
        self.quarantine = MeteredQuarantine(self.database, self.meters)
        self.wakers: list[Callable[[], None]] = []
        self.recorder = Recorder(
            Appender(self.log, self.tail, on_append=self._wake),
            self.sealer,
            Quarantine(self.quarantine, self.master),
            digest_key=self.master.derived("digest"),
            clock=_now,
            window=DEDUPE_WINDOW,
        )
        self.relays = RelayStore(self.database, owner=instance)
        self.progress = ProgressStore(self.database)
        self.access = TokenVerifier(settings.token_public_keys)
        # One connection each: a publisher whose broker is slow holds up nobody but itself.
        self.relay_publisher = Publisher(settings.amqp_url, "ingest-relay")
        self.fanout_publisher = Publisher(settings.amqp_url, "ingest-fanout")
        self.answer_publisher = Publisher(settings.amqp_url, "ingest-answers")

    def reader(self) -> LogReader:
        """Each reader keeps a place of its own."""
        return LogReader(self.log, self.sealer, self.tail)

    def relaying(self) -> list[Relay]:
        """The relays that this process plays."""
        log = Relay(
            "log",
            for_log,
            relays=self.relays,
            log=self.reader(),
            publisher=self.relay_publisher,
            has_beacons=True,
        )
        fanout = Relay(
            "events", for_events, relays=self.relays, log=self.reader(), publisher=self.fanout_publisher
        )
        return [relay for relay, role in ((log, "relay"), (fanout, "fanout")) if self.settings.plays(role)]

    def _wake(self) -> None:
        for wake in self.wakers:
            wake()


def build(settings: Settings) -> Service:
    """Everything this process runs."""
    app = App(settings)
    active = app.relaying()
    relaying = [jobs.relaying(f"relay-{number}", relay) for number, relay in enumerate(active)]
    feed = Feed(app.log, app.sealer, app.tail)
    urgent = relaying[:1] if settings.plays("relay") else []  # fan-out may gather for its 50 ms
    app.wakers += [job.wake.set for job in urgent] + [feed.wake]
    api, loops = _answering(app, feed)
    publishers = (app.relay_publisher, app.fanout_publisher, app.answer_publisher)
    return Service(
        name="ingest",
        api=api,
        host=settings.http_host,
        port=settings.http_port,
        resources=[app.database],
        readers=[subscribers.inbound(settings.amqp_url, app.recorder)] if settings.plays("record") else [],
        subscribers=subscribers.commands(
            settings.amqp_url,
            Resender(app.relays, app.reader(), app.relay_publisher),
            app.relays,
            History(app.reader(), app.log, app.answer_publisher),
        ),
        jobs=[*relaying, *loops, *_housekeeping(app)],
        on_stop=[*(relay.resign for relay in active), feed.close, *(each.close for each in publishers)],
    )


def _housekeeping(app: App) -> list[Job]:
    return [
        jobs.partitions(app.log, app.settings.retention_weeks),
        jobs.counting(CountStore(app.database)),
        *jobs.watching(Watch(app.progress, app.meters, app.settings.amqp_url)),
    ]


def _answering(app: App, feed: Feed) -> tuple[FastAPI, list[Job]]:
    """The HTTP side, and the loops that belong to it."""
    facts = Facts(app.recorder)
    tenant_store, key_store, event_store = (
        TenantStore(app.database),
        ApiKeyStore(app.database),
        EventStore(app.database),
    )
    tenant_handler = Tenants(tenant_store, facts)
    signer = TokenSigner.among(app.settings.token_signing_key, app.settings.token_public_keys)
    key_handler = ApiKeys(key_store, tenant_store, signer, facts, app.access.revocations, _now)
    api = _api(app)
    provide(
        api,
        [
            app.recorder,
            Events(event_store, app.progress, app.sealer, app.answer_publisher),
            Stats(event_store, tenant_store, app.progress, _now),
            feed,
            Erasure(app.sealer, app.keys, ErasureStore(app.database), facts),
            Reviewing(app.quarantine, app.master, app.recorder),
            tenant_handler,
            key_handler,
        ],
    )
    return api, [
        jobs.refusing(key_store, app.access.revocations),
        jobs.listing(key_handler),
        jobs.telling(tenant_handler),
    ]


def _api(app: App) -> FastAPI:
    limit = RateLimit(app.settings.publish_rate, app.settings.publish_burst)
    return create_api(
        title="Nexus ingest",
        service="ingest",
        # `events` comes last of its prefix: its ids would swallow the static paths.
        routers=[
            publishing.routes(app.recorder, limit),
            watching.router,
            erasures.router,
            events.router,
            quarantine.router,
            tenants.router,
            tokens.router,
        ],
        readiness={"postgres": app.database.is_up, "rabbitmq": app.relay_publisher.is_connected},
        registry=app.registry,
        access=app.access,
        body_limits={"/v1/events": wire.MAX_BATCH_BYTES},
    )


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    settings = Settings()
    crashpoints.arm(settings.crash_at)
    logs.configure("ingest", settings.log_level, settings.log_format)
    tracing.configure("ingest", settings.otlp_endpoint)
    run(build(settings))

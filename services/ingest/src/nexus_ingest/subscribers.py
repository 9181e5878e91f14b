"""What ingest listens to: the inbound queue, in batches, and its commands."""

from __future__ import annotations

from faststream.rabbit.annotations import RabbitMessage

from nexus_ingest.handlers.history import History
from nexus_ingest.handlers.recording import Prepared, Recorder
from nexus_ingest.handlers.relaying import Resender
from nexus_ingest.store.relays import RelayStore
from nexus_shared.database import is_away
from nexus_shared.envelope import Command
from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.history import READ
from nexus_shared.messaging.subscribing import Subscribers
from nexus_shared.topology import RECORD_QUEUE, commands_of


def inbound(amqp_url: str, recorder: Recorder) -> BatchReader[Prepared]:
    """A system of a clinic, or a service of ours, says that something happened."""
    return BatchReader(
        amqp_url, [RECORD_QUEUE], recorder, name="ingest.record", is_away=is_away, max_messages=500
    )


def commands(amqp_url: str, resender: Resender, relays: RelayStore, history: History) -> Subscribers:
    """Our own services ask for what they missed or want again, and tell how far they are."""
    subscribers = Subscribers(amqp_url, "ingest")

    async def resend(command: Command, _: object) -> None:
        """A reader missed frames of a lane."""
        await resender.resend(int(command.data["lane"]), int(command.data["after"]))

    async def report_positions(command: Command, _: object) -> None:
        """A reader has come this far."""
        await relays.report(command.source, [int(position) for position in command.data["lane_positions"]])

    async def read(command: Command, message: RabbitMessage) -> None:
        """A service wants to read a tenant's history."""
        await history.answer(command, message.reply_to)

    subscribers.commands(
        commands_of("ingest"),
        {"ingest.resend": resend, "ingest.report_positions": report_positions, READ: read},
    )
    return subscribers

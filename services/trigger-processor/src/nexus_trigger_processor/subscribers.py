"""What trigger-processor listens to: the log, lane by lane, and its commands."""

from __future__ import annotations

from nexus_shared.database import is_away
from nexus_shared.envelope import Command
from nexus_shared.lanes import Frame
from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.subscribing import Subscribers
from nexus_shared.topology import DEAD_LETTER_QUEUE, LANES, commands_of, log_queue
from nexus_trigger_processor.handlers.dead_letters import Undertaker
from nexus_trigger_processor.handlers.matching import Matcher
from nexus_trigger_processor.store.dead_letters import DeadLetterRow

SERVICE = "trigger-processor"


def lanes(amqp_url: str, matcher: Matcher) -> BatchReader[list[Frame]]:
    """Something happened and is recorded: does a trigger want to know?"""
    queues = [log_queue(SERVICE, lane) for lane in range(LANES)]
    return BatchReader(amqp_url, queues, matcher, name="nexus.log", is_away=is_away, max_messages=64)


def dead_letters(amqp_url: str, undertaker: Undertaker) -> BatchReader[list[DeadLetterRow]]:
    """A service gave a message up: it is kept where people see it.

    Nothing takes what this queue rejects, so whatever goes wrong is tried again until it works.
    """
    return BatchReader(
        amqp_url,
        [DEAD_LETTER_QUEUE],
        undertaker,
        name=DEAD_LETTER_QUEUE,
        is_away=lambda error: True,
        max_messages=20,
    )


def commands(amqp_url: str, matcher: Matcher) -> Subscribers:
    """Somebody asks this service for something."""
    subscribers = Subscribers(amqp_url, SERVICE)

    async def process_event(command: Command, _: object) -> None:
        """An event is to be matched once more; only what is missing is created."""
        await matcher.match_again(command.data["event"])

    subscribers.commands(commands_of(SERVICE), {"trigger_processor.process_event": process_event})
    return subscribers

"""What can go wrong for a publisher; each says what became of the event and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nexus_shared.envelope import Event
from nexus_shared.errors import Flaw, InputInvalid, NexusError


class EventInvalid(InputInvalid):
    """Nothing was sent. `flaws` name each field (JSON pointer; "/3/data/phone" = fourth event of a list)."""

    slug = "event-invalid"
    title = "The event does not fit; nothing was sent"

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        told = "; ".join(f"{flaw.pointer or 'event'}: {flaw.message}" for flaw in flaws[:5])
        more = f" (and {len(flaws) - 5} more)" if len(flaws) > 5 else ""
        super().__init__(f"Nothing was sent. {told}{more}", flaws=flaws)


class _AboutEvents(NexusError):
    """An error about events that can be published again as they are: `events`."""

    def __init__(self, detail: str, events: Iterable[Event] = ()) -> None:
        super().__init__(detail)
        self.events = tuple(events)


class PublishRefused(_AboutEvents):
    """The broker does not let this through; the text says which grant or address to repair.

    With a spool the events are kept there and tried again at the next start. Without one they are dropped: repair,
    then publish `error.events` again.
    """

    status = 403
    slug = "publish-refused"
    title = "The broker refuses this publisher"


class NotConfirmed(_AboutEvents):
    """The broker has not confirmed in time: the events may or may not have arrived.

    They are sent again in the background for as long as this process lives, with a spool also after a restart.
    Publishing `error.events` again is harmless (same ids); a new event for the same fact would double it.
    """

    status = 503
    slug = "not-confirmed"
    title = "The broker has not confirmed yet"


class SpoolFull(NexusError):
    """The event was not taken: too much waits for the broker already. Bring the broker back or raise the limit."""

    status = 507
    slug = "spool-full"
    title = "Too many events wait for the broker"


class SpoolInUse(NexusError):
    """Another process writes to this spool directory: give each process a directory of its own."""

    status = 409
    slug = "spool-in-use"
    title = "The spool belongs to another process"


class SpoolUnusable(NexusError):
    """The spool cannot be read or written: the event was not taken. See the text for the file and the cause."""

    status = 507
    slug = "spool-unusable"
    title = "The spool cannot be used"


class PublisherClosed(NexusError):
    """Use a publisher inside `async with NexusPublisher(...)`, or a SyncNexusPublisher before its `close()`."""

    slug = "publisher-closed"
    title = "This publisher is not open"

"""A CRM for the fault tests: publishes event-0, event-1 … and says each id once the publisher has taken the event."""

import asyncio
import sys
from itertools import count

from nexus_shared.client import NexusPublisher


async def main(url: str, spool: str, warm_up: int) -> None:
    async with NexusPublisher(url, "clinica-sul", "crm", spool, spool_limit=2**30) as publisher:
        for number in count():
            publish = publisher.publish if number < warm_up else publisher.publish_later
            event = await publish("clinic.counted", {"number": number}, id=f"event-{number}")
            sys.stdout.write(event.id + "\n")
            sys.stdout.flush()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

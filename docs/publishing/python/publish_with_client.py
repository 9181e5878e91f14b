"""The same with our client: checked before it leaves, kept on disk until confirmed, sent again after any failure."""

import asyncio
import os
import sys
from uuid import uuid4

from nexus_shared.client import EventInvalid, NexusPublisher


async def main(event_id: str) -> None:
    url, tenant, spool = os.environ["NEXUS_AMQP_URL"], os.environ["NEXUS_TENANT"], os.environ["NEXUS_SPOOL"]
    async with NexusPublisher(url, tenant, source="site", spool_dir=spool) as publisher:
        try:
            await publisher.emit_lead_created(lead_id="L-18", phone="11 98765-4321", id=event_id)
        except EventInvalid as error:
            print(error)  # noqa: T201
        await publisher.emit_lead_created(
            lead_id="L-18", name="João Pereira", phone="+5511987654321", source="ads", id=event_id
        )
    print(f"confirmed {event_id}")  # noqa: T201


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else str(uuid4())))

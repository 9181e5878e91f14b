import asyncio
import json
import os
import sys
from uuid import uuid4

from aio_pika import Message, connect

TENANT = os.environ["NEXUS_TENANT"]
ID = sys.argv[1] if len(sys.argv) > 1 else str(uuid4())  # better: an id of your own, the same at every try
EVENT = {"specversion": "1.0", "id": ID, "source": "site", "type": "lead.created", "tenantid": TENANT}
DATA = {"lead_id": "L-18", "name": "João Pereira", "phone": "+5511987654321", "source": "ads"}


async def main() -> None:
    body = json.dumps(EVENT | {"data": DATA}).encode()
    message = Message(body, content_type="application/cloudevents+json", message_id=ID, delivery_mode=2)
    async with await connect(os.environ["NEXUS_AMQP_URL"]) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange("nexus.inbound", ensure=False)
        async with asyncio.timeout(10):  # publish returns once the broker has confirmed
            await exchange.publish(message, f"{TENANT}.lead.created")
    print(f"confirmed {ID}")  # noqa: T201


asyncio.run(main())

"""What another system needs to publish: a broker client and twenty lines. None of them is ours."""

import asyncio
import json
import os
import sys
import uuid

import aio_pika


async def main(amqp_url: str, tenant: str, lead: str) -> None:
    data = {"lead_id": lead, "name": "Ana Luísa Prado", "phone": "+5511987654321", "source": "ads"}
    event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "crm", "type": "lead.created"}
    event |= {"tenantid": tenant, "subject": f"lead/{lead}", "data": data}
    async with await aio_pika.connect(amqp_url) as connection:
        exchange = await (await connection.channel()).get_exchange("nexus.inbound", ensure=False)
        message = aio_pika.Message(
            json.dumps(event).encode(), content_type="application/cloudevents+json", delivery_mode=2
        )
        await exchange.publish(message, routing_key=f"{tenant}.lead.created", mandatory=True)


asyncio.run(main(os.environ["AMQP_URL"], *sys.argv[1:3]))

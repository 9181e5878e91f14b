import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nexus_shared.client import (
    BatchLimits,
    EventInvalid,
    NexusPublisher,
    NotConfirmed,
    PublisherClosed,
    PublishRefused,
    SpoolFull,
    SpoolInUse,
    SpoolUnusable,
)
from nexus_shared.client.parcels import Parcel
from nexus_shared.testing.builders import a_lead_created, an_appointment_scheduled

pytestmark = pytest.mark.integration


def nobody_listens() -> str:
    """The address of a broker that is away."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"amqp://pub.clinica-sul.crm:x@127.0.0.1:{probe.getsockname()[1]}/nexus"


async def test_an_event_arrives_as_the_platform_wants_it(inbox: Any) -> None:
    event = a_lead_created()
    async with inbox.publisher() as publisher:
        assert await publisher.publish(event) == event
        assert publisher.unconfirmed == 0
    (message,) = await inbox.messages()
    assert message.routing_key == "clinica-sul.lead.created"
    assert message.message_id == event.id
    assert message.content_type == "application/cloudevents+json"
    assert message.delivery_mode == 2
    assert message.user_id == "pub.clinica-sul.crm"
    assert message.body == event.to_json()


async def test_type_and_data_are_enough(inbox: Any) -> None:
    async with inbox.publisher() as publisher:
        sent = await publisher.publish("lead.created", {"lead_id": "L-17"}, id="lead-17-created")
    (arrived,) = await inbox.events()
    assert arrived == sent.as_dict()
    assert (arrived["id"], arrived["subject"]) == ("lead-17-created", "lead/L-17")


async def test_events_in_batches_arrive_in_order_in_few_messages(inbox: Any) -> None:
    events = [a_lead_created(number=number) for number in range(1050)]
    async with inbox.publisher() as publisher:
        await publisher.publish_many(events, BatchLimits(events=200))
        await publisher.publish_many([])
    messages = await inbox.messages()
    assert len(messages) == 6
    assert {message.routing_key for message in messages} == {"clinica-sul.batch"}
    assert {message.content_type for message in messages} == {"application/cloudevents-batch+json"}
    assert len({message.message_id for message in messages}) == 6


async def test_events_of_concurrent_calls_arrive_in_the_order_of_the_calls(
    inbox: Any, tmp_path: Path
) -> None:
    events = [a_lead_created(number=number) for number in range(300)]
    async with inbox.publisher(tmp_path) as publisher:
        await asyncio.gather(*(publisher.publish(event) for event in events[:150]))
        await publisher.publish_many(events[150:200])
        await asyncio.gather(*(publisher.publish(event) for event in events[200:]))
    assert await inbox.ids() == [event.id for event in events]


async def test_one_event_that_does_not_fit_keeps_the_whole_list_from_leaving(inbox: Any) -> None:
    events = [a_lead_created(number=number) for number in range(300)]
    events[250] = a_lead_created(data={"phone": "?"})
    async with inbox.publisher() as publisher:
        with pytest.raises(EventInvalid) as caught:
            await publisher.publish_many(events)
    assert [flaw.pointer for flaw in caught.value.flaws] == ["/250/data/phone"]
    assert await inbox.ids() == []


async def test_the_same_event_published_twice_at_once_is_one_message(inbox: Any) -> None:
    event = a_lead_created()
    async with inbox.publisher() as publisher:
        await asyncio.gather(*(publisher.publish(event) for _ in range(5)))
    assert await inbox.ids() == [event.id]


async def test_an_id_on_its_way_with_other_content_is_a_conflict(inbox: Any) -> None:
    async with inbox.publisher() as publisher:
        first = asyncio.create_task(publisher.publish("clinic.note_taken", {"text": "a"}, id="n-1"))
        await asyncio.sleep(0)
        with pytest.raises(EventInvalid, match="an id names one fact"):
            await publisher.publish("clinic.note_taken", {"text": "b"}, id="n-1")
        await first
    assert await inbox.ids() == ["n-1"]


async def test_a_wrong_tenant_is_refused_with_what_to_do(inbox: Any) -> None:
    publisher = NexusPublisher(inbox.crm_url, "clinica-norte", "crm", patience=5)
    event = a_lead_created(tenantid="clinica-norte")
    async with publisher:
        with pytest.raises(PublishRefused, match="nexus publisher add") as caught:
            await publisher.publish(event)
    assert caught.value.events == (event,)
    assert "clinica-norte.lead.created" in str(caught.value)


async def test_many_refused_events_are_each_told_and_a_permitted_one_between_them_arrives(inbox: Any) -> None:
    """The broker's refusal closes the channel under all of them and names none."""
    async with inbox.publisher(patience=10) as publisher:
        parcels = [publisher._parcel(a_lead_created(number=number), None, {})[1] for number in range(9)]
        foreign = [
            _for_tenant(parcel, "clinica-norte") if n != 4 else parcel for n, parcel in enumerate(parcels)
        ]
        ends = await asyncio.gather(
            *(publisher._shipping.deliver([each]) for each in foreign), return_exceptions=True
        )
    assert [type(end) for end in ends] == [PublishRefused] * 4 + [type(None)] + [PublishRefused] * 4
    assert set(await inbox.ids()) == {parcels[4].message_id}


def _for_tenant(parcel: Parcel, tenant: str) -> Parcel:
    return replace(parcel, key=f"{tenant}.lead.created")


async def test_a_key_that_no_queue_takes_is_refused_and_the_others_go_on(inbox: Any) -> None:
    admin = inbox.vhost.url
    async with NexusPublisher(admin, "clinica-sul", "crm", exchange="nexus.events") as publisher:
        with pytest.raises(PublishRefused, match=r"No queue takes 'clinica-sul\.lead\.created'"):
            await publisher.publish(a_lead_created())
        assert publisher.is_connected


async def test_an_exchange_that_does_not_exist_is_refused(inbox: Any) -> None:
    async with NexusPublisher(inbox.vhost.url, "clinica-sul", "crm", exchange="nexus.typo") as publisher:
        with pytest.raises(PublishRefused, match=r"nexus\.typo"):
            await publisher.publish(a_lead_created())


async def test_a_wrong_password_is_told_at_once(inbox: Any) -> None:
    async with inbox.publisher(url=inbox.crm_url.replace("crm-password", "wrong"), patience=20) as publisher:
        with pytest.raises(PublishRefused, match="user, password and vhost"):
            async with asyncio.timeout(10):
                await publisher.publish(a_lead_created())


async def test_a_wrong_vhost_is_named_as_the_trouble(inbox: Any, tmp_path: Path) -> None:
    """The broker says the same while a vhost is starting, so the publisher goes on trying."""
    elsewhere = inbox.crm_url.rsplit("/", 1)[0] + "/elsewhere"
    async with inbox.publisher(tmp_path, url=elsewhere, patience=1) as publisher:
        with pytest.raises(NotConfirmed, match="the vhost in amqp_url"):
            await publisher.publish(a_lead_created())


async def test_patience_ends_with_the_event_in_hand_and_goes_on_in_the_background() -> None:
    event = a_lead_created()
    publisher = NexusPublisher(nobody_listens(), "clinica-sul", "crm", patience=0.2)
    await publisher.__aenter__()
    with pytest.raises(NotConfirmed, match="use the same ids") as caught:
        await publisher.publish(event)
    assert caught.value.events == (event,)
    assert publisher.unconfirmed == 1
    with pytest.raises(NotConfirmed):
        await publisher.publish(event)
    assert publisher.unconfirmed == 1
    with pytest.raises(NotConfirmed, match="when the publisher closed") as lost:
        await publisher.__aexit__(None, None, None)
    assert lost.value.events == (event,)


async def test_what_is_published_while_the_broker_is_away_waits_on_disk_for_the_next_start(
    inbox: Any, tmp_path: Path
) -> None:
    events = [a_lead_created(number=number) for number in range(5)]
    async with NexusPublisher(nobody_listens(), "clinica-sul", "crm", tmp_path, patience=0.1) as publisher:
        for event in events[:2]:
            await publisher.publish_later(event)
        with pytest.raises(NotConfirmed, match="also after a restart"):
            await publisher.publish(events[2])
        with pytest.raises(NotConfirmed):
            await publisher.publish_many(events[3:])
    async with inbox.publisher(tmp_path) as publisher:
        await publisher.publish(an_appointment_scheduled())
    assert await inbox.ids() == [*(event.id for event in events), an_appointment_scheduled().id]
    async with inbox.publisher(tmp_path):
        pass
    assert await inbox.ids() == []


async def test_refused_events_with_a_spool_are_tried_again_at_the_next_start(
    inbox: Any, tmp_path: Path
) -> None:
    async with inbox.publisher(tmp_path, exchange="nexus.typo") as publisher:
        with pytest.raises(PublishRefused):
            await publisher.publish(a_lead_created())
    async with inbox.publisher(tmp_path):
        pass
    assert await inbox.ids() == [a_lead_created().id]


async def test_a_backlog_has_a_limit_on_disk_and_in_memory(tmp_path: Path) -> None:
    for spool_dir in (None, tmp_path):
        publisher = NexusPublisher(
            nobody_listens(), "clinica-sul", "crm", spool_dir, patience=0.05, spool_limit=3000
        )
        await publisher.__aenter__()
        with pytest.raises(SpoolFull, match="not taken"):
            for number in range(5):
                try:
                    await publisher.publish(a_lead_created(number=number))
                except NotConfirmed:
                    assert publisher.unconfirmed == number + 1
        await publisher.__aexit__(None, RuntimeError(), None)


async def test_two_publishers_do_not_share_a_spool(inbox: Any, tmp_path: Path) -> None:
    async with inbox.publisher(tmp_path):
        with pytest.raises(SpoolInUse, match="its own spool_dir"):
            await inbox.publisher(tmp_path).__aenter__()
    async with inbox.publisher(tmp_path) as publisher:
        await publisher.publish(a_lead_created())


async def test_misuse_is_explained(inbox: Any) -> None:
    publisher = inbox.publisher()
    with pytest.raises(PublisherClosed, match="async with"):
        await publisher.publish(a_lead_created())
    async with publisher:
        with pytest.raises(TypeError, match="either an Event"):
            await publisher.publish(a_lead_created(), id="x")
        with pytest.raises(SpoolUnusable, match="give this publisher a spool_dir"):
            await publisher.publish_later(a_lead_created())
    with pytest.raises(ValueError, match="lower-case letters"):
        NexusPublisher(inbox.crm_url, "Clínica Sul", "crm")

"""The relay: the log goes out in frames, whole and in order, whoever leads, crashes or comes back from the dead."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import orjson
import pytest

from nexus_ingest.domain.door import Publisher as Speaker
from nexus_ingest.handlers.relaying import Relay, Resender, for_events, for_log
from nexus_shared import strict_json, topology
from nexus_shared.database import is_away
from nexus_shared.ids import TenantId
from nexus_shared.lanes import Frame, Verdict, judge, read_frame
from nexus_shared.messaging.batch_reader import BatchReader
from nexus_shared.messaging.delivery import Delivery
from nexus_shared.messaging.publisher import Publisher, PublishUnconfirmed
from nexus_shared.testing.brokers import TestVhost
from nexus_shared.testing.builders import a_lead_created
from nexus_shared.testing.faultproxy import FaultProxy
from nexus_shared.topology import LANES, RECORD_QUEUE, log_queue

pytestmark = pytest.mark.integration

READER = "trigger-processor"
CRM = Speaker("crm", TenantId("clinica-sul"))


class Lanes:
    """A reader of `nexus.log`: what came, and what it made of it."""

    def __init__(self, connection: aio_pika.abc.AbstractConnection) -> None:
        self._connection = connection
        self._arrived: asyncio.Queue[Frame] = asyncio.Queue()
        self.frames: list[Frame] = []
        self.positions = [0] * LANES
        self.taken: list[int] = []
        self.holes: list[tuple[int, int]] = []

    async def open(self) -> None:
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=1_000)
        await asyncio.gather(*(self._read(channel, lane) for lane in range(LANES)))

    async def _read(self, channel: aio_pika.abc.AbstractChannel, lane: int) -> None:
        queue = await channel.get_queue(log_queue(READER, lane), ensure=False)
        await queue.purge()
        await queue.consume(self._collect)

    async def _collect(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        await message.ack()
        self._arrived.put_nowait(read_frame(Delivery(message.body, headers=message.headers)))

    async def quiet(self, seconds: float = 0.3) -> list[Frame]:
        """The frames that came until nothing came for a while."""
        found = []
        while True:
            try:
                found.append(await asyncio.wait_for(self._arrived.get(), seconds))
            except TimeoutError:
                break
        self.frames += found
        for frame in found:
            self._take(frame)
        return found

    def _take(self, frame: Frame) -> None:
        mine = self.positions[frame.lane]
        match judge(mine, frame.prev, frame.last):
            case Verdict.TAKE:
                self.taken += [
                    int(event["sequence"]) for event in frame.events if int(event["sequence"]) > mine
                ]
                self.positions[frame.lane] = frame.last
            case Verdict.HOLE:
                self.holes.append((frame.lane, mine))


@pytest.fixture
async def lanes(vhost: TestVhost) -> AsyncIterator[Lanes]:
    async with await aio_pika.connect(vhost.url) as connection:
        lanes = Lanes(connection)
        await lanes.open()
        yield lanes


@pytest.fixture
async def publisher(vhost: TestVhost) -> AsyncIterator[Publisher]:
    publisher = Publisher(vhost.url_of("svc.ingest"), "test", timeout=5)
    yield publisher
    await publisher.close()


def a_relay(instance: Any, publisher: Publisher, **settings: Any) -> Relay:
    return Relay("log", for_log, relays=instance.relays, log=instance.reader, publisher=publisher, **settings)


async def recorded(instance: Any, *numbers: int) -> None:
    items = [strict_json.inspect(a_lead_created(number=number).as_dict()) for number in numbers]
    await instance.recorder.record(items, CRM)


async def drained(relay: Relay) -> None:
    """Until nothing is new, also not at the next poll."""
    for _ in range(2):
        while await relay.once():
            pass
        await asyncio.sleep(0.06)
    await relay.once()


async def lease_runs_out(admin: Any) -> None:
    await admin.execute("update relays set leased_until = clock_timestamp() - interval '1 second'")


async def test_every_recorded_event_goes_out_once_in_order_per_lane(
    instance: Any, lanes: Lanes, publisher: Publisher
) -> None:
    relay = a_relay(instance, publisher)
    for start in range(0, 300, 100):
        await recorded(instance, *range(start, start + 100))
        await drained(relay)
    await lanes.quiet()
    assert sorted(lanes.taken) == list(range(1, 301))
    assert lanes.holes == []
    for lane in range(LANES):
        chain = [frame for frame in lanes.frames if frame.lane == lane]
        assert [frame.prev for frame in chain] == [0, *(frame.last for frame in chain[:-1])][: len(chain)]
    assert lanes.frames[0].events[0]["data"]["name"], "personal data is joined again"


def in_order(frames: list[Frame]) -> list[Any]:
    """By position: between lanes there is no order of arrival."""
    return [frame.events for frame in sorted(frames, key=lambda frame: frame.last)]


async def test_what_is_read_back_goes_out_like_what_is_still_in_memory(
    instance: Any, instances: Any, lanes: Lanes, publisher: Publisher, admin: Any
) -> None:
    await recorded(instance, *range(50))
    await drained(a_relay(instance, publisher))
    from_memory = await lanes.quiet()
    await admin.execute(
        "update relays set position = 0, lane_positions = default, leased_until = '-infinity'"
    )
    await drained(a_relay(await instances("empty"), publisher))
    from_log = await lanes.quiet()
    assert in_order(from_log) == in_order(from_memory)


async def test_of_two_relays_one_leads_and_the_other_takes_over_when_the_lease_runs_out(
    instances: Any, lanes: Lanes, publisher: Publisher, admin: Any
) -> None:
    one, two = await instances("one"), await instances("two")
    first, second = a_relay(one, publisher), a_relay(two, publisher)
    await recorded(one, *range(10))
    await drained(first)
    assert await second.once() is False
    assert await admin.value("select owner from relays where name = 'log'") == "one"
    await recorded(one, *range(10, 20))
    await lease_runs_out(admin)
    await drained(second)
    assert await admin.value("select owner from relays where name = 'log'") == "two"
    await lanes.quiet()
    assert (sorted(lanes.taken), lanes.holes) == (list(range(1, 21)), [])


async def test_a_leader_that_was_deposed_can_save_nothing_and_what_it_still_sends_does_no_harm(
    instances: Any, lanes: Lanes, publisher: Publisher, admin: Any
) -> None:
    one, two = await instances("one"), await instances("two")
    zombie, leader = a_relay(one, publisher), a_relay(two, publisher)
    await recorded(one, *range(10))
    await drained(zombie)
    cursor = await admin.value("select position from relays where name = 'log'")
    await lease_runs_out(admin)
    await recorded(two, *range(10, 20))
    await drained(leader)
    await recorded(one, *range(20, 30))
    await drained(zombie)
    await drained(leader)
    assert await admin.value("select owner from relays where name = 'log'") == "two"
    assert await admin.value("select position from relays where name = 'log'") == 30 > cursor
    await lanes.quiet()
    assert (sorted(lanes.taken), lanes.holes) == (list(range(1, 31)), [])


async def test_a_zombies_save_is_refused_and_changes_nothing(instance: Any, admin: Any) -> None:
    cursor = await instance.relays.lead("log")
    await lease_runs_out(admin)
    newer = await instance.relays.lead("log")
    assert newer.epoch == cursor.epoch + 1
    assert await instance.relays.save("log", cursor._replace(position=99)) is False
    await instance.relays.resign("log", cursor.epoch)
    assert await instance.relays.save("log", newer._replace(position=7)) is True
    assert await admin.value("select position from relays where name = 'log'") == 7
    assert await admin.value("select leased_until > clock_timestamp() from relays where name = 'log'")


async def test_a_leader_that_ends_cleanly_is_followed_at_once(instances: Any, publisher: Publisher) -> None:
    one, two = await instances("one"), await instances("two")
    await recorded(one, 1)
    leader = a_relay(one, publisher)
    await leader.once()
    await leader.resign()
    cursor = await two.relays.lead("log")
    assert (cursor.position, max(cursor.lane_positions)) == (1, 1)


async def test_after_a_crash_between_publishing_and_saving_only_duplicates_come(
    instances: Any, lanes: Lanes, publisher: Publisher, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_ingest.handlers.relaying.SAVE_SECONDS", 1_000.0)
    one, two = await instances("one"), await instances("two")
    await recorded(one, *range(40))
    crashed = a_relay(one, publisher)
    await crashed.once()
    await recorded(one, *range(40, 60))
    await crashed.once()
    assert await admin.value("select position from relays where name = 'log'") < 60
    await lease_runs_out(admin)
    await drained(a_relay(two, publisher))
    sent = [int(event["sequence"]) for frame in await lanes.quiet() for event in frame.events]
    assert len(sent) > 60, "some were sent twice"
    assert (sorted(lanes.taken), lanes.holes) == (list(range(1, 61)), [])


async def test_what_another_instance_appends_is_found_by_polling(
    instances: Any, lanes: Lanes, publisher: Publisher
) -> None:
    leading, other = await instances("leading"), await instances("other")
    relay = a_relay(leading, publisher)
    for number in range(0, 15, 3):
        await recorded(leading, number)
        await recorded(other, number + 1, number + 2)
        await drained(relay)
    await lanes.quiet()
    assert (sorted(lanes.taken), lanes.holes) == (list(range(1, 16)), [])


async def test_a_lost_frame_is_sent_again_as_a_chain_that_closes_the_hole(
    instance: Any, lanes: Lanes, publisher: Publisher
) -> None:
    relay = a_relay(instance, publisher)
    await recorded(instance, *range(200))
    await drained(relay)
    await lanes.quiet()
    complete = list(lanes.positions)
    lane = max(range(LANES), key=lambda each: complete[each])
    missed = [position for position in lanes.taken if position > 50 and _lane_of(lanes, position) == lane]
    lanes.positions[lane] = missed[0] - 1
    lanes.taken = [position for position in lanes.taken if position not in missed]
    resender = Resender(instance.relays, instance.reader, publisher)
    assert await resender.resend(lane, lanes.positions[lane]) == len(missed)
    again = await lanes.quiet()
    assert again[0].prev == missed[0] - 1
    assert lanes.positions == complete
    assert sorted(lanes.taken) == list(range(1, 201))
    assert await resender.resend(lane, complete[lane]) == 0
    assert await resender.resend(lane, 10**12) == 0


def _lane_of(lanes: Lanes, position: int) -> int:
    return next(f.lane for f in lanes.frames if any(int(e["sequence"]) == position for e in f.events))


async def test_only_what_the_relay_has_sent_is_sent_again(
    instance: Any, lanes: Lanes, publisher: Publisher
) -> None:
    """Otherwise the chain would go on from a place that the relay does not know."""
    await recorded(instance, *range(20))
    resender = Resender(instance.relays, instance.reader, publisher)
    assert [await resender.resend(lane, 0) for lane in range(LANES)] == [0] * LANES
    assert await lanes.quiet() == []


async def test_beacons_show_a_hole_to_whoever_lost_the_last_frame(
    instance: Any, lanes: Lanes, publisher: Publisher
) -> None:
    relay = a_relay(instance, publisher, has_beacons=True)
    await recorded(instance, *range(40))
    await relay.once()
    await lanes.quiet()
    used = {frame.lane for frame in lanes.frames if frame.events}
    lanes.positions = [0] * LANES
    lanes.holes.clear()
    await asyncio.sleep(1)
    await relay.once()
    beacons = await lanes.quiet()
    assert {frame.lane for frame in beacons} == used
    assert all(frame.prev == frame.last and not frame.events for frame in beacons)
    assert sorted(lanes.holes) == [(lane, 0) for lane in sorted(used)]


async def test_when_publishing_fails_the_cursor_stays_and_the_same_goes_out_later(
    instance: Any, lanes: Lanes, vhost: TestVhost, admin: Any
) -> None:
    url = vhost.url_of("svc.ingest")
    at = urlsplit(url)
    async with FaultProxy(at.hostname or "", at.port or 0) as proxy:
        relay = a_relay(
            instance, Publisher(url.replace(f":{at.port}/", f":{proxy.port}/"), "test", timeout=0.5)
        )
        await recorded(instance, *range(10))
        await drained(relay)
        proxy.half_open("server to client")
        await recorded(instance, *range(10, 20))
        with pytest.raises(PublishUnconfirmed):
            await relay.once()
        assert await admin.value("select position from relays where name = 'log'") == 10
        proxy.heal()
        await drained(relay)
    await lanes.quiet()
    assert (sorted(lanes.taken), lanes.holes) == (list(range(1, 21)), [])


async def test_subscribers_get_every_event_as_a_message_of_its_own(
    instance: Any, vhost: TestVhost, publisher: Publisher
) -> None:
    async with await aio_pika.connect(vhost.url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            "sub.clinica-sul.bi.all", durable=True, arguments={"x-queue-type": "quorum"}
        )
        await queue.bind(topology.EVENTS, "clinica-sul.#")
        fanout = Relay("events", for_events, relays=instance.relays, log=instance.reader, publisher=publisher)
        await recorded(instance, *range(20))
        await drained(fanout)
        messages = [await queue.get(no_ack=True) for _ in range(20)]
        assert await queue.get(no_ack=True, fail=False) is None
        await queue.delete(if_unused=False, if_empty=False)
    assert [message.headers["sequence"] for message in messages] == list(range(1, 21))
    assert {message.routing_key for message in messages} == {"clinica-sul.lead.created"}
    assert orjson.loads(messages[7].body)["data"] == a_lead_created(number=7).data


async def test_what_publishers_send_is_recorded_in_the_order_of_the_queue_and_acknowledged(
    instance: Any, vhost: TestVhost, admin: Any
) -> None:
    async with await aio_pika.connect(vhost.url) as connection:
        channel = await connection.channel()
        inbound = await channel.get_exchange(topology.INBOUND, ensure=False)
        await (await channel.get_queue(RECORD_QUEUE, ensure=False)).purge()
        for number in range(200):
            event = a_lead_created(number=number)
            bad = number % 40 == 7
            message = aio_pika.Message(
                b"{" if bad else event.to_json(), delivery_mode=2, content_type="application/cloudevents+json"
            )
            await inbound.publish(message, "clinica-sul.lead.created")
        reader = BatchReader(
            vhost.url_of("svc.ingest"),
            [RECORD_QUEUE],
            instance.recorder,
            name="test",
            is_away=is_away,
            max_messages=30,
        )
        task = asyncio.create_task(reader.run())
        async with asyncio.timeout(15):
            while (
                await admin.value("select count(*) from automation_events where type = 'lead.created'") < 195
            ):
                await asyncio.sleep(0.02)
        await reader.stop()
        await asyncio.wait_for(task, 5)
        assert (await channel.declare_queue(RECORD_QUEUE, passive=True)).declaration_result.message_count == 0
    rows = await admin.fetch(
        "select event_id from automation_events where type = 'lead.created' order by position"
    )
    expected = [a_lead_created(number=number).id for number in range(200) if number % 40 != 7]
    assert [row["event_id"] for row in rows] == expected
    assert await admin.value("select sum(occurrences) from quarantine") == 5

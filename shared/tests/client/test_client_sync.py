import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nexus_shared.client import (
    EventInvalid,
    NotConfirmed,
    PublisherClosed,
    SpoolInUse,
    SyncNexusPublisher,
)
from nexus_shared.testing.builders import a_lead_created

pytestmark = pytest.mark.integration
AWAY = "amqp://pub.clinica-sul.crm:x@127.0.0.1:1/nexus"


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() <= before


async def test_a_system_without_asyncio_publishes_with_plain_calls(inbox: Any, tmp_path: Path) -> None:
    events = [a_lead_created(number=number) for number in range(10)]

    def crm() -> None:
        with SyncNexusPublisher(inbox.crm_url, "clinica-sul", "crm", tmp_path) as publisher:
            publisher.publish(events[0])
            publisher.publish_later(events[1])
            publisher.publish_many(events[2:])
            publisher.publish("lead.created", {"lead_id": "L-1"}, id="last")

    await asyncio.to_thread(crm)
    assert await inbox.ids() == [*(event.id for event in events), "last"]


async def test_many_threads_may_publish(inbox: Any) -> None:
    def crm() -> None:
        with (
            SyncNexusPublisher(inbox.crm_url, "clinica-sul", "crm") as publisher,
            ThreadPoolExecutor(8) as threads,
        ):
            list(threads.map(lambda n: publisher.publish(a_lead_created(number=n)), range(100)))

    await asyncio.to_thread(crm)
    assert sorted(await inbox.ids()) == sorted(a_lead_created(number=n).id for n in range(100))


def test_errors_come_back_to_the_caller(tmp_path: Path, no_threads_left: None) -> None:
    with SyncNexusPublisher(AWAY, "clinica-sul", "crm", tmp_path, patience=0.1) as publisher:
        with pytest.raises(EventInvalid, match="/data/phone"):
            publisher.publish("lead.created", {"lead_id": "L-1", "phone": "?"})
        with pytest.raises(NotConfirmed):
            publisher.publish("lead.created", {"lead_id": "L-1"})
        with pytest.raises(SpoolInUse), SyncNexusPublisher(AWAY, "clinica-sul", "crm", tmp_path):
            pass


def test_it_opens_at_the_first_call_and_is_gone_after_close(no_threads_left: None) -> None:
    publisher = SyncNexusPublisher(AWAY, "clinica-sul", "crm", patience=0.1)
    threads = threading.active_count()
    with pytest.raises(EventInvalid):
        publisher.publish("lead.created", {})
    assert threading.active_count() > threads
    publisher.close()
    publisher.close()
    with pytest.raises(PublisherClosed, match="make another one"):
        publisher.publish("lead.created", {"lead_id": "L-1"})


def test_closing_without_a_spool_hands_back_what_may_be_lost(no_threads_left: None) -> None:
    publisher = SyncNexusPublisher(AWAY, "clinica-sul", "crm", patience=0.1)
    with pytest.raises(NotConfirmed):
        publisher.publish("lead.created", {"lead_id": "L-1"}, id="l-1")
    with pytest.raises(NotConfirmed) as lost:
        publisher.close()
    assert [event.id for event in lost.value.events] == ["l-1"]


def test_a_worker_that_inherited_an_open_publisher_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = SyncNexusPublisher(AWAY, "clinica-sul", "crm", patience=0.1)
    publisher.open()
    process = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)
    with pytest.raises(PublisherClosed, match="open it in the worker"):
        publisher.publish("lead.created", {"lead_id": "L-1"})
    monkeypatch.undo()
    publisher.close()

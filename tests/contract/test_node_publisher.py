"""A system that is not Python publishes: docs/publishing/node with amqplib, as a clinic's developer would run it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from nexus_shared import catalogue, topology, wire
from nexus_shared.ids import TenantId
from nexus_shared.testing.brokers import TestVhost

EXAMPLE = Path(__file__).parents[2] / "docs" / "publishing" / "node"
SITE = topology.ClientUser("pub", TenantId("clinica-sul"), "site", "site-password")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (shutil.which("node") and shutil.which("npm")),
        reason="node and npm are not installed: the Node example is not run here (allowed in CI too)",
    ),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its pinned dependency, installed in a directory of its own."""
    directory = tmp_path_factory.mktemp("node")
    for name in ("publish.mjs", "package.json"):
        shutil.copy(EXAMPLE / name, directory)
    install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    done = subprocess.run(install, cwd=directory, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"npm install failed: {done.stderr}"
    return directory


def published(directory: Path, url: str, tenant: str, event_id: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "NEXUS_AMQP_URL": url, "NEXUS_TENANT": tenant}
    return subprocess.run(
        ["node", "publish.mjs", event_id],
        cwd=directory,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_what_the_node_example_publishes_is_fit_for_the_door(
    installed: Path, fresh_vhost: Callable[..., TestVhost]
) -> None:
    vhost = fresh_vhost(SITE)
    done = await asyncio.to_thread(published, installed, vhost.url_of(SITE.user), "clinica-sul", "site-829")
    assert (done.returncode, done.stdout) == (0, "confirmed site-829\n"), done.stderr
    message = await taken(vhost)
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    (item,), is_batch = wire.read(message.body, message.content_type or "", {})
    event = wire.envelope(item.value)
    assert (is_batch, item.flaw, event.id, message.message_id) == (False, None, "site-829", "site-829")
    assert message.routing_key == f"clinica-sul.{event.type}"
    kind = catalogue.find(event.type)
    assert kind is not None
    assert kind.problems(event.data, event.subject) == []


async def test_the_node_example_fails_loudly_where_it_may_not_publish(
    installed: Path, fresh_vhost: Callable[..., TestVhost]
) -> None:
    vhost = fresh_vhost(SITE)
    done = await asyncio.to_thread(published, installed, vhost.url_of(SITE.user), "clinica-norte", "site-829")
    assert done.returncode == 1
    assert "access to topic 'clinica-norte.lead.created'" in done.stderr
    assert "confirmed" not in done.stdout


def test_the_node_example_is_as_short_as_promised() -> None:
    lines = [line for line in (EXAMPLE / "publish.mjs").read_text().splitlines() if line.strip()]
    assert len(lines) <= 20


async def taken(vhost: TestVhost) -> Any:
    """The first message in ingest's queue."""
    async with await aio_pika.connect(vhost.url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(topology.RECORD_QUEUE)
        arrived: asyncio.Queue[Any] = asyncio.Queue()
        await queue.consume(arrived.put, no_ack=True)
        return await asyncio.wait_for(arrived.get(), 10)

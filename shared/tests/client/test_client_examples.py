"""docs/publishing, as a clinic's developer would run it."""

import ast
import asyncio
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from nexus_shared import catalogue, wire

pytestmark = pytest.mark.integration
EXAMPLES = Path(__file__).parents[3] / "docs" / "publishing"


async def run(*command: str, **settings: str) -> tuple[int, str]:
    """Exit code and what was printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode()


def assert_fit_for_the_door(content: bytes, content_type: str, event_id: str) -> None:
    (item,), _ = wire.read(content, content_type, {})
    event = wire.envelope(item.value)
    kind = catalogue.find(event.type)
    assert kind is not None
    assert (item.flaw, event.id, event.tenantid) == (None, event_id, "clinica-sul")
    assert kind.problems(event.data, event.subject) == []


@pytest.mark.parametrize("script", ["publish.py", "publish_with_client.py"])
async def test_the_python_examples_publish(inbox: Any, tmp_path: Path, script: str) -> None:
    settings = {
        "NEXUS_AMQP_URL": inbox.crm_url,
        "NEXUS_TENANT": "clinica-sul",
        "NEXUS_SPOOL": str(tmp_path / "spool"),
    }
    code, output = await run(sys.executable, str(EXAMPLES / "python" / script), "site-829", **settings)
    assert (code, output.splitlines()[-1]) == (0, "confirmed site-829")
    (message,) = await inbox.messages()
    assert message.delivery_mode == 2
    assert (message.routing_key, message.message_id) == ("clinica-sul.lead.created", "site-829")
    assert_fit_for_the_door(message.body, message.content_type, "site-829")


async def test_the_example_without_our_code_is_as_short_as_promised(inbox: Any) -> None:
    text = (EXAMPLES / "python" / "publish.py").read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= 20
    assert "nexus_shared" not in text
    settings = {"NEXUS_AMQP_URL": inbox.crm_url, "NEXUS_TENANT": "clinica-norte"}
    code, output = await run(sys.executable, str(EXAMPLES / "python" / "publish.py"), **settings)
    assert code == 1
    assert "access to topic 'clinica-norte.lead.created'" in output


async def test_the_guides_code_works_as_it_is_printed(inbox: Any, tmp_path: Path) -> None:
    guide = (EXAMPLES / "README.md").read_text().replace("/var/lib/crm/nexus", str(tmp_path / "spool"))
    asynchronous, synchronous = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    names: dict[str, Any] = {"amqp_url": inbox.crm_url, "worker_number": 3}
    await eval(compile(asynchronous, "guide", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    assert len(await inbox.ids()) == 1002

    def crm() -> None:
        exec(synchronous, names)
        names["lead_saved"](SimpleNamespace(pk=17, name="Ana Souza"))
        names["nexus"].close()

    await asyncio.to_thread(crm)
    assert await inbox.ids() == ["lead-17-created"]


async def test_the_curl_example_sends_what_the_door_takes() -> None:
    received: asyncio.Queue[tuple[bytes, str, str]] = asyncio.Queue()

    async def events(request: web.Request) -> web.Response:
        head = request.headers
        await received.put((await request.read(), head["Content-Type"], head["Authorization"]))
        return web.json_response({"results": [{"status": "stored"}]}, status=202)

    app = web.Application()
    app.router.add_post("/v1/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        settings = {"NEXUS_INGEST_URL": address, "NEXUS_API_KEY": "key", "NEXUS_TENANT": "clinica-sul"}
        code, output = await run(str(EXAMPLES / "curl" / "publish.sh"), "site-829", **settings)
    finally:
        await runner.cleanup()
    assert (code, "stored" in output) == (0, True)
    content, content_type, authorization = received.get_nowait()
    assert authorization == "Bearer key"
    assert_fit_for_the_door(content, content_type, "site-829")

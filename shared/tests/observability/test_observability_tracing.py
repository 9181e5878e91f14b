from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from nexus_shared.observability import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def collected() -> AsyncIterator[list[Span]]:
    """Tracing is on; after `tracing.shutdown()` the list holds what the collector got."""
    spans: list[Span] = []

    async def take(request: web.Request) -> web.Response:
        export = ExportTraceServiceRequest.FromString(await request.read())
        spans.extend(
            span for group in export.resource_spans for scope in group.scope_spans for span in scope.spans
        )
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    tracing.configure("ingest", f"http://{host}:{port}/")
    yield spans
    await asyncio.to_thread(tracing.shutdown)
    await runner.cleanup()


@pytest.fixture(autouse=True)
def nothing_accepted() -> None:
    tracing.accept(None)


async def test_spans_reach_the_collector_under_their_parent(collected: list[Span]) -> None:
    with tracing.span("append", PARENT):
        inside = tracing.current_traceparent()
        with tracing.span("commit"):
            pass
    await asyncio.to_thread(tracing.shutdown)

    commit, append = collected
    assert (append.name, commit.name) == ("append", "commit")
    assert append.trace_id.hex() == commit.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert append.parent_span_id.hex() == "00f067aa0ba902b7"
    assert commit.parent_span_id == append.span_id
    assert inside == f"00-{append.trace_id.hex()}-{append.span_id.hex()}-01"


async def test_a_span_continues_the_accepted_trace(collected: list[Span]) -> None:
    tracing.accept(PARENT)
    with tracing.span("append"):
        tracing.describe("POST /v1/events", **{"http.response.status_code": 202})
    await asyncio.to_thread(tracing.shutdown)

    assert collected[0].name == "POST /v1/events"
    assert collected[0].parent_span_id.hex() == "00f067aa0ba902b7"


async def test_a_failed_span_tells_the_type_and_not_the_message(collected: list[Span]) -> None:
    with pytest.raises(ValueError, match="Maria"), tracing.span("append"):
        raise ValueError("Maria, 11987654321")
    await asyncio.to_thread(tracing.shutdown)

    (failed,) = collected
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert "ValueError" in str(failed)
    assert "Maria" not in str(failed)


def test_while_tracing_is_off_a_callers_trace_is_still_handed_on() -> None:
    assert tracing.current_traceparent() is None

    tracing.accept(PARENT)
    with tracing.span("append"):
        assert tracing.current_traceparent() == PARENT
    assert tracing.provider() is None


def test_while_tracing_is_off_the_sdk_is_not_even_imported() -> None:
    program = (
        "import sys; from nexus_shared.observability import logs, metrics, tracing; import nexus_shared.http.app;"
        "tracing.configure('ingest', None)\n"
        "with tracing.span('x'): pass\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'faststream', 'requests'))])"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout.strip() == "[]"

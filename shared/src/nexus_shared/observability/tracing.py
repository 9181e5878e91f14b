"""Tracing, off unless an OTLP endpoint is configured.

While it is off nothing of the OpenTelemetry SDK is imported, and `span` and `current_traceparent` cost next to
nothing; a caller's traceparent is still handed on, so that a story crosses us unbroken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_NOTHING: AbstractContextManager[None] = nullcontext()
_FORMAT = TraceContextTextMapPropagator()
_accepted: ContextVar[str | None] = ContextVar("accepted_traceparent", default=None)

_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None


def configure(service: str, endpoint: str | None) -> None:
    """Starts tracing to an OTLP/HTTP collector (`http://host:4318`); without an endpoint it stays off."""
    global _provider, _tracer
    if not endpoint:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _provider = TracerProvider(resource=Resource.create({"service.name": service}))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    _tracer = _provider.get_tracer("nexus")


def shutdown() -> None:
    """Sends what is left, blocking for as long as the collector takes, and switches tracing off."""
    global _provider, _tracer
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


def provider() -> TracerProvider | None:
    """The tracer provider, for libraries that want one (FastStream's telemetry middleware); None while off."""
    return _provider


def is_on() -> bool:
    return _tracer is not None


def accept(traceparent: str | None) -> None:
    """The trace that the work of this task continues; None ends an earlier one."""
    _accepted.set(traceparent)


def current_traceparent() -> str | None:
    """W3C traceparent to hand on: of the span we are in, else the accepted one."""
    if _tracer is None:
        return _accepted.get()
    active = trace.get_current_span().get_span_context()
    if not active.is_valid:
        return _accepted.get()
    return f"00-{active.trace_id:032x}-{active.span_id:016x}-{active.trace_flags:02x}"


def span(name: str, parent_traceparent: str | None = None) -> AbstractContextManager[None]:
    """A span around a block. Names are few and fixed: no ids, no data.

    Without a parent it continues the span we are in, else the accepted trace.
    """
    if _tracer is None:
        return _NOTHING
    return _traced(_tracer, name, parent_traceparent)


def describe(name: str, **attributes: str | int) -> None:
    """Renames the span we are in, once it is known what it does, and adds attributes (no ids of persons, no data)."""
    active = trace.get_current_span()
    active.update_name(name)
    for key, value in attributes.items():
        active.set_attribute(key, value)


@contextmanager
def _traced(tracer: trace.Tracer, name: str, parent: str | None) -> Iterator[None]:
    # Exception messages may quote data, so a span only gets the exception's type.
    with tracer.start_as_current_span(
        name, context=_context_of(parent), record_exception=False, set_status_on_exception=False
    ) as active:
        try:
            yield
        except Exception as failure:
            active.set_attribute("error.type", type(failure).__qualname__)
            active.set_status(StatusCode.ERROR)
            raise


def _context_of(parent: str | None) -> otel_context.Context | None:
    if parent is None and not trace.get_current_span().get_span_context().is_valid:
        parent = _accepted.get()
    return _FORMAT.extract({"traceparent": parent}) if parent else None

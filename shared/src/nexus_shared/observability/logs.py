"""One stream of log lines for us, FastStream and uvicorn: JSON for machines, colours for a terminal.

A line holds fields, never a person's data: what is named like a secret, a phone or a text is blanked, wherever it
comes from, and of an exception only the first line of its message is kept, because databases and validators quote
the values they refuse in the lines below.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from nexus_shared.observability.tracing import current_traceparent

BLANK = "[redacted]"
SENSITIVE = frozenset(
    {
        "token",
        "authorization",
        "password",
        "passwd",
        "secret",
        "secrets",
        "credentials",
        "cookie",
        "apikey",
        "seed",
    }
    | {"phone", "email", "cpf", "text", "data", "body", "payload"}
)
LIBRARIES = {
    # At INFO httpx logs whole URLs; at DEBUG the others log what they carry.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "aio_pika": logging.INFO,
    "aiormq": logging.INFO,
    "asyncio": logging.INFO,
    "sse_starlette": logging.INFO,
}
MAX_DEPTH = 4

_CREDENTIALS_IN_URL = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_LONG_NUMBER = re.compile(r"\d{8,}")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(service: str, level: str = "INFO", format: Literal["json", "console"] = "json") -> None:
    """Sets up logging for this process, to stderr. Call it first, once."""
    shared = _processors(service)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared], processors=_renderers(format)
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)
    for library, at_least in LIBRARIES.items():
        logging.getLogger(library).setLevel(max(at_least, logging.getLogger().level))


def _processors(service: str) -> list[Processor]:
    def add_service(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
        line["service"] = service
        return line

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        add_trace,
        redact,
    ]


def _renderers(format: Literal["json", "console"]) -> list[Processor]:
    first: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if format == "console":
        return [*first, structlog.dev.ConsoleRenderer(exception_formatter=_write_exception)]
    return [
        *first,
        structlog.processors.ExceptionRenderer(format_exception),
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def add_trace(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Ties a line to its trace."""
    if traceparent := current_traceparent():
        _, line["trace_id"], line["span_id"], _ = traceparent.split("-", 3)
    return line


def redact(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Blanks sensitive fields at any depth and passwords in URLs; drops uvicorn's second copy of its text."""
    line.pop("color_message", None)
    for key, value in line.items():
        if key != "exc_info":
            line[key] = _clean(key, value, MAX_DEPTH)
    return line


def _clean(key: str, value: Any, depth: int) -> Any:
    if _is_sensitive(key):
        return BLANK
    if isinstance(value, str):
        return _CREDENTIALS_IN_URL.sub(rf"\1:{BLANK}@", value) if "://" in value else value
    if isinstance(value, Mapping):
        return (
            {name: _clean(str(name), inner, depth - 1) for name, inner in value.items()} if depth else BLANK
        )
    if isinstance(value, list | tuple):
        return [_clean("", inner, depth - 1) for inner in value] if depth else BLANK
    return value


def _is_sensitive(key: str) -> bool:
    # access_token, webhook-secret, patient_phone: the last word says what it is.
    name = key.lower().replace("-", "_")
    return name in SENSITIVE or name.rpartition("_")[2] in SENSITIVE


def format_exception(exc_info: ExcInfo) -> str:
    """A traceback whose messages are one line of at most 300 characters, long numbers masked."""
    lines: list[str] = []
    _describe(traceback.TracebackException(*exc_info, compact=True), lines)
    return "\n".join(lines)


def _describe(failure: traceback.TracebackException, lines: list[str]) -> None:
    if failure.__cause__ is not None:
        _describe(failure.__cause__, lines)
        lines.append("which caused:")
    elif failure.__context__ is not None and not failure.__suppress_context__:
        _describe(failure.__context__, lines)
        lines.append("while handling it:")
    lines.extend(text.rstrip("\n") for text in failure.stack.format())
    message = "".join(failure.format_exception_only()).partition("\n")[0]
    lines.append(_LONG_NUMBER.sub("#", _CREDENTIALS_IN_URL.sub(rf"\1:{BLANK}@", message))[:300])
    for inner in failure.exceptions or ():
        _describe(inner, lines)


def _write_exception(target: TextIO, exc_info: ExcInfo) -> None:
    target.write("\n" + format_exception(exc_info))


def _to_json(line: EventDict, **_: Any) -> str:
    try:
        return orjson.dumps(line, default=repr).decode()
    except TypeError:  # a lone surrogate or an integer beyond 64 bits
        return json.dumps(line, default=repr)

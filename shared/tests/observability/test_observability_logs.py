"""Logging is set up for a whole process, so each test looks at a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from nexus_shared.observability.logs import BLANK, redact

CONFIGURE = """
import logging, structlog
from nexus_shared.observability import logs, tracing
log = structlog.stdlib.get_logger("nexus.test")
logs.configure("ingest", {level!r}, {format!r})
"""


def written(program: str, level: str = "INFO", format: str = "json") -> str:
    """What a process writes to stderr that sets logging up and then does this."""
    source = CONFIGURE.format(level=level, format=format) + textwrap.dedent(program)
    ran = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == ""
    return ran.stderr


def lines(program: str, level: str = "INFO") -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(program, level).splitlines()]


def test_our_lines_and_those_of_libraries_look_the_same() -> None:
    ours, uvicorns, faststreams = lines(
        """
        log.info("batch_matched", events=3, took_ms=1.5)
        logging.getLogger("uvicorn.error").info("Started %d", 7, extra={"color_message": "\\x1b[36mStarted"})
        logging.getLogger("faststream").warning("Consumer lost", extra={"queue": "ingest.record"})
        """
    )

    assert (
        ours.items() >= {"event": "batch_matched", "events": 3, "took_ms": 1.5, "service": "ingest"}.items()
    )
    assert set(ours) == {"event", "events", "took_ms", "service", "level", "logger", "timestamp"}
    assert set(uvicorns) == {"event", "service", "level", "logger", "timestamp"}
    assert (uvicorns["event"], uvicorns["level"]) == ("Started 7", "info")
    assert (faststreams["queue"], faststreams["level"]) == ("ingest.record", "warning")


def test_what_is_bound_to_the_task_stands_in_every_line() -> None:
    ours, librarys = lines(
        """
        structlog.contextvars.bind_contextvars(request_id="call-1234")
        tracing.accept("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        log.info("one")
        logging.getLogger("aiormq").info("two")
        """
    )

    for line in (ours, librarys):
        assert line["request_id"] == "call-1234"
        assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert line["span_id"] == "00f067aa0ba902b7"


def test_the_level_holds_for_all_and_chatty_libraries_stay_quiet() -> None:
    noise = """
        log.debug("ours")
        logging.getLogger("aio_pika").debug("a whole message")
        logging.getLogger("httpx").info("GET https://hooks.example/secret-path")
        log.warning("loud")
        """

    assert [line["event"] for line in lines(noise, "INFO")] == ["loud"]
    assert [line["event"] for line in lines(noise, "debug")] == ["ours", "loud"]


def test_of_an_exception_only_the_first_line_of_its_message_is_kept() -> None:
    text = written(
        """
        class UniqueViolation(Exception):
            pass
        def insert():
            raise UniqueViolation("duplicate key of 5511987654321\\nDETAIL: Key (email)=(maria@example.com) exists.")
        try:
            try:
                insert()
            except UniqueViolation as cause:
                raise RuntimeError("not stored in postgres://nexus:s3cret@127.0.0.1/nexus") from cause
        except RuntimeError:
            log.exception("insert_failed")
        """
    )
    line = json.loads(text)

    for personal in ("maria", "5511987654321", "s3cret"):
        assert personal not in text
    assert "in insert" in line["exception"]
    assert "UniqueViolation: duplicate key of #" in line["exception"]
    assert "which caused:" in line["exception"]
    assert f"postgres://nexus:{BLANK}@127.0.0.1/nexus" in line["exception"].splitlines()[-1]


def test_what_json_cannot_hold_is_still_logged() -> None:
    (line,) = lines("""log.info("odd", text_like="\\ud800", big=10**30, kind=int, when=b"x")""")

    assert line["big"] == 10**30
    assert line["kind"] == "<class 'int'>"


def test_a_terminal_gets_lines_for_people() -> None:
    text = written(
        """
        log.info("batch_matched", events=3, phone="+5511987654321")
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("failed")
        """,
        format="console",
    )

    assert "batch_matched" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "+5511987654321" not in text


SENSITIVE = """token Authorization password client_secret webhook-secret phone patient_phone text message_text data
set_cookie access_token email"""


@pytest.mark.parametrize("key", SENSITIVE.split())
def test_a_sensitive_field_is_blanked(key: str) -> None:
    assert redact(None, "info", {"event": "x", key: "Maria 11 98765-4321"})[key] == BLANK


def test_redaction_reaches_into_nested_values() -> None:
    line = redact(
        None, "info", {"event": "x", "request": {"headers": [{"authorization": "Bearer x"}], "size": 7}}
    )

    assert line["request"] == {"headers": [{"authorization": BLANK}], "size": 7}


def test_what_is_nested_too_deeply_to_be_looked_at_is_blanked_whole() -> None:
    deep: dict[str, Any] = {"phone": "+5511987654321"}
    for _ in range(6):
        deep = {"inner": deep}

    assert "+5511987654321" not in str(redact(None, "info", {"event": "x", "deep": deep}))


def test_ids_and_counts_are_left_alone() -> None:
    line = {"event": "batch_matched", "tenant": "clinica-sul", "jti": "j-1", "events": 3, "database": "nexus"}

    assert redact(None, "info", dict(line)) == line


def test_a_password_in_a_url_is_blanked_wherever_it_stands() -> None:
    line = redact(None, "info", {"event": "reconnecting to amqp://svc.ingest:s3cret@127.0.0.1:5672/nexus"})

    assert line["event"] == f"reconnecting to amqp://svc.ingest:{BLANK}@127.0.0.1:5672/nexus"

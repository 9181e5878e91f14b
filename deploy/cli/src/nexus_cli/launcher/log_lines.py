"""Logs of services, followed and made readable: `12:03:44 ingest │ batch_recorded events=12`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

COLOURS = ("cyan", "magenta", "green", "blue", "yellow", "bright_cyan")
LEVELS = {"warning": "yellow", "error": "red", "critical": "bold red"}
NOT_SHOWN = frozenset(
    {"timestamp", "level", "event", "service", "logger", "exception", "trace_id", "span_id"}
)


@dataclass
class LogTail:
    """The new lines of one file, from its present end on; it may not exist yet and may be replaced."""

    path: Path
    _offset: int = field(default=-1, init=False)
    _rest: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        self._offset = self.path.stat().st_size if self.path.exists() else 0

    def lines(self) -> Iterator[str]:
        """What was written since the last call, whole lines only."""
        if not self.path.exists():
            return
        if self.path.stat().st_size < self._offset:
            self._offset, self._rest = 0, b""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = self._rest + file.read()
            self._offset = file.tell()
        *whole, self._rest = text.split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")


class LogScreen:
    """Prints lines of several services, each with its name in its colour."""

    def __init__(self, console: Console, services: Mapping[str, Path]) -> None:
        self._console = console
        self._tails = {name: LogTail(path) for name, path in services.items()}
        self._width = max((len(name) for name in services), default=0)
        self._colours = dict(zip(services, COLOURS * 3, strict=False))

    def show_new(self) -> None:
        for name, tail in self._tails.items():
            for line in tail.lines():
                if line.strip():
                    self._console.print(f"{self._prefix(name)} {readable(line)}", soft_wrap=True)

    def _prefix(self, name: str) -> str:
        return f"[{self._colours[name]}]{name:<{self._width}} │[/]"


def readable(line: str) -> str:
    """A line of JSON as words, with rich's markup; any other line as it is."""
    try:
        told = json.loads(line)
    except ValueError:
        return escape(line)
    if not isinstance(told, dict):
        return escape(line)
    style = LEVELS.get(str(told.get("level")), "default")
    fields = " ".join(f"{name}={_value(value)}" for name, value in told.items() if name not in NOT_SHOWN)
    trace = _trace(told)
    return f"[dim]{_clock(told)}[/] [{style}]{escape(str(told.get('event', '')))}[/] {escape(fields + trace)}".rstrip()


def _trace(told: Mapping[str, Any]) -> str:
    """The whole traceback of an error; of anything milder only what it came to."""
    lines = str(told.get("exception") or "").splitlines()
    if not lines:
        return ""
    return "\n" + "\n".join(lines if told.get("level") in ("error", "critical") else lines[-1:])


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if " " in text and isinstance(value, str) else text


def _clock(told: Mapping[str, Any]) -> str:
    try:
        return datetime.fromisoformat(str(told.get("timestamp"))).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return "--:--:--"

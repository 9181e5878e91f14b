"""nexus events publish: one event, or a file of events in batches."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.progress import Progress

from nexus_cli.api import Api
from nexus_cli.outcomes import CommandFailed
from nexus_shared.envelope import BATCH, STRUCTURED

BATCH_EVENTS = 100


@dataclass(frozen=True)
class Draft:
    """What a person gave for one event; the rest is filled in."""

    type: str
    data: str
    tenant_id: str
    source: str
    subject: str | None = None
    id: str | None = None
    time: datetime | None = None

    def event(self) -> dict[str, Any]:
        """As a CloudEvent. Raises CommandFailed when the data is no JSON object."""
        try:
            data = json.loads(_text(self.data))
        except ValueError as error:
            raise CommandFailed(
                f"--data is not JSON: {error}.", 'Like: --data \'{"lead_id": "1"}\''
            ) from error
        attributes = {
            "specversion": "1.0",
            "id": self.id or str(uuid4()),
            "source": self.source,
            "type": self.type,
            "tenantid": self.tenant_id,
            "subject": self.subject,
            "time": (self.time or datetime.now(UTC)).astimezone(UTC).isoformat(),
            "data": data,
        }
        return {name: value for name, value in attributes.items() if value is not None}


def publish(api: Api, event: Mapping[str, Any]) -> dict[str, Any]:
    """What became of it: `status`, `position`, and its `id`. Raises CommandFailed when it is refused."""
    answer = api.ask("POST", "/v1/events", json=event, content_type=STRUCTURED)
    result: dict[str, Any] = answer["results"][0]
    return {"id": event["id"], **result}


def publish_file(api: Api, path: Path, *, shows_progress: bool) -> tuple[Counter[str], list[str]]:
    """Publish a file of CloudEvents, one JSON a line: how many of each status, and a sentence for each refused one."""
    events = list(_lines(path))
    statuses: Counter[str] = Counter()
    refused: list[str] = []
    remaining = iter(events)
    with Progress(console=Console(stderr=True), transient=True, disable=not shows_progress) as progress:
        task = progress.add_task("Publishing", total=len(events))
        while batch := list(islice(remaining, BATCH_EVENTS)):
            results = api.ask("POST", "/v1/events", json=[event for _, event in batch], content_type=BATCH)
            for (line, _), result in zip(batch, results["results"], strict=True):
                statuses[result["status"]] += 1
                refused += [
                    f"line {line}: {flaw['pointer']} {flaw['message']}" for flaw in result.get("errors") or ()
                ]
            progress.advance(task, len(batch))
    return statuses, refused


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text(f"@{path}").splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise CommandFailed(f"{path}, line {number}: not JSON: {error}.") from error


def _text(given: str) -> str:
    """The text itself, of a file (`@name`), or from standard input (`-` or `@-`)."""
    if given in ("-", "@-"):
        return sys.stdin.read()
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text()
    except OSError as error:
        raise CommandFailed(f"{given[1:]} cannot be read: {error.strerror}.") from error

"""nexus events."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from nexus_cli.options import ApiKey, ApiUrl, AsJson, Directory
from nexus_cli.outcomes import Exit

app = typer.Typer(help="Recorded events: watch, publish, look at.", no_args_is_help=True)


@app.command("tail")
def tail(
    event_type: Annotated[
        str | None,
        typer.Option("--type", help="Only these, like lead.created or lead.* (comma between several)."),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this subject, like lead/L-17.")] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Begin after this position, not now.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="End after so many events; 0 never ends.")] = 0,
    directory: Directory = None,
    url: ApiUrl = None,
    key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Watch events as they are recorded; a broken connection is taken up where it broke."""
    from itertools import islice

    from nexus_cli import live_events
    from nexus_cli.access import tenant_api

    filters = {"type": event_type.split(",") if event_type else None, "subject": subject}
    updates = live_events.follow(
        tenant_api(directory, url, key), filters, after="" if after is None else str(after)
    )
    for update in islice(updates, limit or None):
        print(update.data if as_json else live_events.line_of(update), flush=True)


@app.command("publish")
def publish(
    event_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="Like lead.created.")] = None,
    data: Annotated[
        str, typer.Option(help="The data as JSON, or @file, or - for standard input.", metavar="JSON")
    ] = "{}",
    file: Annotated[
        Path | None, typer.Option(help="Publish a file of CloudEvents instead, one JSON a line, in batches.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="What it is about, like lead/L-17.")] = None,
    source: Annotated[str, typer.Option(help="The system that says it.")] = "nexus-cli",
    event_id: Annotated[
        str | None, typer.Option("--id", help="The event's id.  [default: a random one]")
    ] = None,
    time: Annotated[datetime | None, typer.Option(help="When it happened.  [default: now]")] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant.  [default: the key's]")] = None,
    directory: Directory = None,
    url: ApiUrl = None,
    key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Publish an event over HTTP and say what became of it: stored, duplicate or conflict, and where."""
    import json

    from nexus_cli import publishing
    from nexus_cli.access import tenant_api, tenant_of

    if (event_type is None) == (file is None):
        raise typer.BadParameter("Give either a TYPE or --file.")
    api = tenant_api(directory, url, key)
    if file is not None:
        _tell_file(*publishing.publish_file(api, file, shows_progress=not as_json), as_json=as_json)
        return
    draft = publishing.Draft(str(event_type), data, tenant or tenant_of(api), source, subject, event_id, time)
    result = publishing.publish(api, draft.event())
    if as_json:
        print(json.dumps(result))
    else:
        print(f"{result['status']} at position {result['position']}, id {result['id']}")
    if result["status"] == "conflict":
        raise typer.Exit(Exit.FAILED)


def _tell_file(statuses: dict[str, int], refused: list[str], *, as_json: bool) -> None:
    import json

    if as_json:
        print(json.dumps({"statuses": statuses, "refused": refused}))
    else:
        print(", ".join(f"{count} {status}" for status, count in statuses.items()) or "nothing to publish")
        for sentence in refused:
            print(f"  {sentence}")
    if set(statuses) - {"stored", "duplicate"}:
        raise typer.Exit(Exit.FAILED)


@app.command("show")
def show(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="The event's id, or its position as #123.")],
    source: Annotated[
        str | None, typer.Option(help="The system that said it, where several use the same id.")
    ] = None,
    directory: Directory = None,
    url: ApiUrl = None,
    key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show one recorded event: where it is in the log, what became of it, and its content."""
    import json

    from nexus_cli import recorded_events
    from nexus_cli.access import tenant_api

    found = recorded_events.find(tenant_api(directory, url, key), event_id, source)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        recorded_events.show(found)

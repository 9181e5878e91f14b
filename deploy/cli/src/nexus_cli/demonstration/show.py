"""The demo on the screen: a line per event, then what it came to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from nexus_cli.demonstration.board import Card
from nexus_cli.demonstration.scenario import TRIGGERS, person_of

LEGEND = (
    "event → recorded in the log → trigger fired → webhook delivered (milliseconds since it was published)"
)


def introduction(console: Console, receiver_url: str, amqp_host: str) -> None:
    console.print(
        f"A clinic's systems publish to [bold]{amqp_host}[/]; webhooks go to [bold]{receiver_url}[/]."
    )
    for trigger in TRIGGERS:
        rule = trigger.rules[0]
        condition = f"{rule['field']} {rule['operator']} {rule['value']}"
        console.print(f"  [cyan]{escape(trigger.name)}[/]: {trigger.event_type} if {escape(condition)}")
    console.print(f"{LEGEND}\n", style="dim")


def line(card: Card) -> str:
    """One event's way, with rich's markup."""
    clock = datetime.now().astimezone().strftime("%H:%M:%S")
    recorded = f"#{card.position}" + (f" {card.recorded_ms:.0f} ms" if card.recorded_ms is not None else "")
    parts = [
        f"[dim]{clock}[/]",
        f"[bold]{card.event.type:<22}[/]",
        f"{escape(person_of(card.event))[:32]:<32}",
        f"[green]recorded {recorded:<14}[/]",
    ]
    if card.trigger is None:
        parts.append("[dim]no trigger wants it[/]")
    elif card.delivered_ms is not None:
        parts.append(f"[cyan]{escape(card.trigger)}[/] → [green]webhook {card.delivered_ms:.0f} ms[/]")
    return " ".join(parts)


def conclusion(console: Console, summary: dict[str, Any], late: list[Card]) -> None:
    counts = "{published} events published, {recorded} recorded, {fired} fired a trigger, "
    webhooks = "{webhooks_delivered} of {webhooks_expected} webhooks delivered, every signature verified."
    console.print("\n" + (counts + webhooks).format_map(summary))
    if summary["delivered_p50_ms"] is not None:
        console.print(
            f"From publishing to the webhook: p50 [bold]{summary['delivered_p50_ms']} ms[/], "
            f"p99 [bold]{summary['delivered_p99_ms']} ms[/]."
        )
    for card in late:
        reached = "recorded, no webhook yet" if card.position else "not recorded yet"
        console.print(f"[red]✗[/] {card.event.type} {card.event.id}: {reached}")

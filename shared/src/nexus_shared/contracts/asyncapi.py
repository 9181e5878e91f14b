"""AsyncAPI 3.0 of the whole platform, from the topology and the catalogue: who sends what where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nexus_shared import catalogue, topology
from nexus_shared.envelope import BATCH, STRUCTURED

COMMANDS: Mapping[str, str] = {
    "ingest.resend": "Publish a lane again, after a position: a reader found a hole.",
    "ingest.report_positions": "The 16 lane positions that a reader of the log has processed.",
    "ingest.read": "Read a tenant's history; frames go to the asker's reply queue.",
    "trigger_processor.process_event": "Match a recorded event once more; only what is missing is created.",
}
"""Commands of our own services, by type."""


def document() -> dict[str, Any]:
    """The document; a plain dictionary that is written as JSON."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nexus Automation",
            "version": "1.0.0",
            "description": "Facts in, recorded facts out. CloudEvents 1.0 over AMQP 0-9-1.",
        },
        "defaultContentType": STRUCTURED,
        "servers": {
            "broker": {"host": "rabbitmq:5672", "protocol": "amqp", "pathname": f"/{topology.VHOST}"}
        },
        "channels": {
            "inbound": _channel(
                topology.INBOUND,
                "topic",
                "{tenant}.{type}",
                "Facts of publishers; batches use the key {tenant}.batch.",
            ),
            "log": _channel(
                topology.LOG, "direct", "{lane}", "Recorded events in frames per lane, for our own services."
            ),
            "events": _channel(
                topology.EVENTS,
                "topic",
                "{tenant}.{type}",
                "Recorded events one by one, for everybody's own queues.",
            ),
            "commands": _channel(topology.COMMANDS, "topic", "{owner}.{verb}", "Requests to one service."),
        },
        "operations": _operations(),
        "components": {"messages": {**_event_messages(), **_command_messages(), **_frame_message()}},
    }


def _channel(exchange: str, kind: str, key: str, description: str) -> dict[str, Any]:
    names = {"inbound": "event", "log": "frame", "events": "event", "commands": "command"}
    role = names[exchange.removeprefix("nexus.")]
    return {
        "address": key,
        "description": description,
        "parameters": {name: {} for name in _placeholders(key)},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages_of(role)},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": exchange, "type": kind, "durable": True, "vhost": "/nexus"},
            }
        },
    }


def _placeholders(key: str) -> Iterable[str]:
    return [part[1:-1] for part in key.split(".") if part.startswith("{")]


def _messages_of(role: str) -> Iterable[str]:
    return {"event": _event_messages, "frame": _frame_message, "command": _command_messages}[role]()


def _operations() -> dict[str, Any]:
    reads: dict[str, tuple[str, str, str]] = {
        "recordEvents": ("inbound", topology.RECORD_QUEUE, "ingest records every fact exactly once."),
        "matchTriggers": (
            "log",
            topology.log_queue("trigger-processor", 0)[:-2] + "00…15",
            "trigger-processor matches triggers against what was recorded.",
        ),
        **{
            f"perform{owner.title().replace('_', '')}Commands": (
                "commands",
                topology.commands_of(service),
                f"{service} performs what it is asked for.",
            )
            for service, owner in topology.COMMAND_OWNERS.items()
        },
    }
    return {
        name: {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
            "bindings": {"amqp": {"ack": True}},
            "x-queue": queue,
        }
        for name, (channel, queue, summary) in reads.items()
    }


def _event_messages() -> dict[str, Any]:
    return {
        name: {
            "name": name,
            "summary": kind.meaning,
            "contentType": STRUCTURED,
            "payload": {"$ref": f"../events/schemas/{name}.json"},
            "x-owners": sorted(kind.owners),
        }
        for name, kind in sorted(catalogue.all_types().items())
    }


def _command_messages() -> dict[str, Any]:
    return {
        name: {"name": name, "summary": summary, "contentType": STRUCTURED, "payload": {"type": "object"}}
        for name, summary in COMMANDS.items()
    }


def _frame_message() -> dict[str, Any]:
    header = {"type": "integer", "minimum": 0}
    return {
        "frame": {
            "name": "frame",
            "summary": "Events of one lane, positions rising; empty = beacon. `prev` is the lane's previous position.",
            "contentType": BATCH,
            "headers": {
                "type": "object",
                "required": ["lane", "prev", "last"],
                "properties": {
                    "lane": {**header, "maximum": topology.LANES - 1},
                    "prev": header,
                    "last": header,
                },
            },
            "payload": {"type": "array", "maxItems": 100, "items": {"type": "object"}},
        }
    }

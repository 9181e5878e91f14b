"""The broker's whole layout in one place: names, and the definitions RabbitMQ loads.

Services declare nothing; an operator (or the launcher) imports `definitions(...)`. Limits live in policies, so that
changing one never fails a redeclaration. Every queue is a quorum queue.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nexus_shared.ids import PLATFORM, TenantId, is_tenant_id

VHOST = "nexus"
LANES = 16

INBOUND = "nexus.inbound"
LOG = "nexus.log"
EVENTS = "nexus.events"
COMMANDS = "nexus.commands"
DEAD = "nexus.dead"
UNROUTED = "nexus.unrouted"

ADMIN = "nexus-admin"
FACTS_KEY = f"{PLATFORM}.batch"
"""Key of the batches in which our own services publish facts of many tenants at once."""

LOG_READERS = ("trigger-processor",)
"""Services that read `nexus.log`: each has one queue per lane."""

COMMAND_OWNERS = {
    "ingest": "ingest",
    "trigger-processor": "trigger_processor",
    "whatsapp-gateway": "whatsapp",
    "n8n-bridge": "n8n",
    "ai-service": "ai",
    "notificame-gateway": "notificame",
}
"""Service -> first word of the commands it owns (`whatsapp.send_message`)."""

SERVICES = tuple(COMMAND_OWNERS)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def lane_key(lane: int) -> str:
    return f"{lane:02d}"


def log_queue(service: str, lane: int) -> str:
    return f"{service}.log.{lane_key(lane)}"


def commands_of(service: str) -> str:
    return f"{service}.commands"


RECORD_QUEUE = "ingest.record"
UNROUTED_QUEUE = "ingest.unrouted"
DEAD_LETTER_QUEUE = "trigger-processor.dead-letters"
SUBSCRIBER_BYTES = 256 * 2**20
"""What a subscriber's own queue may hold; then its oldest messages go."""


def service_user(service: str) -> str:
    return f"svc.{service}"


def inbound_key(tenant_id: str, type_or_batch: str) -> str:
    return f"{tenant_id}.{type_or_batch}"


@dataclass(frozen=True)
class ClientUser:
    """A broker user of a tenant's system: it publishes to, or subscribes from, its own tenant only."""

    kind: str
    tenant_id: TenantId
    name: str
    password: str

    def __post_init__(self) -> None:
        if self.kind not in ("pub", "sub"):
            raise ValueError(f"kind: expected 'pub' or 'sub', got {self.kind!r}")
        if not is_tenant_id(self.tenant_id) or not _NAME.fullmatch(self.name):
            raise ValueError("tenant and name: lower-case letters, digits and hyphens, at most 63")
        if self.tenant_id == PLATFORM:
            raise ValueError(f"tenant: expected a clinic's, '{PLATFORM}' names the platform itself")

    @property
    def user(self) -> str:
        return f"{self.kind}.{self.tenant_id}.{self.name}"


def definitions(
    *, passwords: Mapping[str, str], clients: Iterable[ClientUser] = (), vhost: str = VHOST
) -> dict[str, Any]:
    """What `load_definitions` or `rabbitmqctl import_definitions` takes.

    `passwords` maps a broker user (`nexus-admin`, `svc.ingest`, …) to its password; users without one are left out.
    """
    layout = {
        "vhosts": [{"name": vhost}],
        "exchanges": _exchanges(vhost),
        "queues": _queues(vhost),
        "bindings": _bindings(vhost),
        "policies": _policies(vhost),
        "users": [_user(name, password) for name, password in passwords.items()],
        "permissions": [],
        "topic_permissions": [],
    }
    for name in passwords:
        _grant(layout, vhost, name)
    for client in clients:
        add_client(layout, client, vhost=vhost)
    return layout


def client_definitions(client: ClientUser, *, vhost: str = VHOST) -> dict[str, Any]:
    """Only what a new publisher or subscriber adds; importing it again changes nothing but the password."""
    layout: dict[str, Any] = {"users": [], "permissions": [], "topic_permissions": []}
    add_client(layout, client, vhost=vhost)
    return layout


def add_client(layout: dict[str, Any], client: ClientUser, *, vhost: str = VHOST) -> None:
    own = rf"^{re.escape(client.tenant_id)}\."
    layout["users"].append(_user(client.user, client.password))
    if client.kind == "pub":
        layout["permissions"].append(_permission(vhost, client.user, write=r"^nexus\.inbound$"))
        layout["topic_permissions"].append(_topic(vhost, client.user, INBOUND, write=own))
        return
    queues = rf"^{re.escape(client.user)}\."
    layout["permissions"].append(
        _permission(vhost, client.user, configure=queues, write=queues, read=rf"{queues}|^nexus\.events$")
    )
    layout["topic_permissions"].append(_topic(vhost, client.user, EVENTS, read=own))


def _exchanges(vhost: str) -> list[dict[str, Any]]:
    fallback = {"alternate-exchange": UNROUTED}
    kinds = {
        INBOUND: ("topic", fallback),
        LOG: ("direct", {}),
        EVENTS: ("topic", {}),
        COMMANDS: ("topic", fallback),
        DEAD: ("direct", {}),
        UNROUTED: ("fanout", {}),
    }
    return [
        {
            "name": name,
            "vhost": vhost,
            "type": kind,
            "durable": True,
            "auto_delete": False,
            "internal": False,
            "arguments": arguments,
        }
        for name, (kind, arguments) in kinds.items()
    ]


def _queue(vhost: str, name: str, *, single_active: bool = False) -> dict[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if single_active:
        arguments["x-single-active-consumer"] = True
    return {"name": name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": arguments}


def _queues(vhost: str) -> list[dict[str, Any]]:
    lanes = [log_queue(service, lane) for service in LOG_READERS for lane in range(LANES)]
    ordered = [_queue(vhost, name, single_active=True) for name in (RECORD_QUEUE, *lanes)]
    plain = [commands_of(service) for service in SERVICES] + [DEAD_LETTER_QUEUE, UNROUTED_QUEUE]
    return ordered + [_queue(vhost, name) for name in plain]


def _bindings(vhost: str) -> list[dict[str, Any]]:
    pairs = [(INBOUND, RECORD_QUEUE, "#"), (UNROUTED, UNROUTED_QUEUE, "")]
    pairs += [(COMMANDS, commands_of(service), f"{owner}.#") for service, owner in COMMAND_OWNERS.items()]
    pairs += [
        (LOG, log_queue(service, lane), lane_key(lane)) for service in LOG_READERS for lane in range(LANES)
    ]
    pairs += [(DEAD, DEAD_LETTER_QUEUE, service) for service in SERVICES]
    return [
        {
            "source": source,
            "vhost": vhost,
            "destination": queue,
            "destination_type": "queue",
            "routing_key": key,
            "arguments": {},
        }
        for source, queue, key in pairs
    ]


def _policy(vhost: str, name: str, pattern: str, **definition: Any) -> dict[str, Any]:
    # A full queue refuses its publisher, who knows how to wait; only queues of subscribers drop their oldest messages.
    return {
        "vhost": vhost,
        "name": name,
        "pattern": pattern,
        "apply-to": "queues",
        "priority": 10,
        "definition": {"overflow": "reject-publish", **definition},
    }


def _policies(vhost: str) -> list[dict[str, Any]]:
    policies = [
        _policy(
            vhost,
            "kept",
            r"^(trigger-processor\.dead-letters|ingest\.unrouted)$",
            **{"max-length-bytes": 2**30},
        ),
        # A subscriber that went away must stop neither the fan-out to everybody else nor, one day, the whole broker.
        _policy(
            vhost, "subscribers", r"^sub\.", **{"max-length-bytes": SUBSCRIBER_BYTES, "overflow": "drop-head"}
        ),
    ]
    for service in SERVICES:
        name = re.escape(service)
        dead = {**_dead_lettered(service), "delivery-limit": 8}
        policies.append(
            _policy(vhost, f"{service}.commands", rf"^{name}\.commands$", **dead, **{"max-length": 200_000})
        )
        if service in LOG_READERS:
            policies.append(
                _policy(vhost, f"{service}.log", rf"^{name}\.log\.[0-9]+$", **dead, **{"max-length": 20_000})
            )
    # No delivery limit here: an event is answered by us (recorded or quarantined), never given up by the broker. What
    # we could not even quarantine is a dead letter.
    policies.append(
        _policy(
            vhost,
            "ingest.record",
            r"^ingest\.record$",
            **_dead_lettered("ingest"),
            **{"max-length-bytes": 4 * 2**30},
        )
    )
    return policies


def _dead_lettered(service: str) -> dict[str, Any]:
    return {
        "dead-letter-exchange": DEAD,
        "dead-letter-routing-key": service,
        "dead-letter-strategy": "at-least-once",
    }


def _grant(layout: dict[str, Any], vhost: str, user: str) -> None:
    if user == ADMIN:
        layout["permissions"].append(_permission(vhost, user, configure=".*", write=".*", read=".*"))
        return
    service = user.removeprefix("svc.")
    if service not in SERVICES:
        raise ValueError(f"{user}: not a user of this topology; known are {ADMIN} and svc.<service>")
    queues = rf"^{re.escape(service)}\."
    if service == "ingest":
        # amq.default carries the answers of history reads to the asker's own reply queue.
        write = r"^(nexus\.(log|events|commands)|amq\.default)$"
        topics = [(EVENTS, ".*"), (COMMANDS, r"^trigger_processor\.")]
    else:
        write = r"^nexus\.(inbound|commands)$"
        others = "|".join(owner for name, owner in COMMAND_OWNERS.items() if name != service)
        topics = [(INBOUND, rf"^{re.escape(FACTS_KEY)}$"), (COMMANDS, rf"^({others})\.")]
    layout["permissions"].append(_permission(vhost, user, write=write, read=queues))
    for exchange in (INBOUND, EVENTS, COMMANDS):  # a missing row would mean "everything is allowed"
        layout["topic_permissions"].append(
            _topic(vhost, user, exchange, write=dict(topics).get(exchange, "^$"))
        )


def _permission(
    vhost: str, user: str, *, configure: str = "^$", write: str = "^$", read: str = "^$"
) -> dict[str, str]:
    return {"user": user, "vhost": vhost, "configure": configure, "write": write, "read": read}


def _topic(vhost: str, user: str, exchange: str, *, write: str = "^$", read: str = "^$") -> dict[str, str]:
    return {"user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": read}


def _user(name: str, password: str) -> dict[str, Any]:
    salt = secrets.token_bytes(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return {
        "name": name,
        "password_hash": base64.b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"] if name == ADMIN else [],
        "limits": {},
    }

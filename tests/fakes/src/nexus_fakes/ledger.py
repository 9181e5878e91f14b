"""What a fake received: counted always, kept in memory up to a limit, written to a file when there is one.

The file has one JSON object a line and is written before the answer goes out, so that a killed fake never answered a
request that is not in its ledger.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request as received. `received_at` in seconds since 1970; `status` is what it is answered with, None for no
    answer; `signature` is valid, invalid, missing or unchecked.
    """

    received_at: float
    path: str
    webhook_id: str = ""
    status: int | None = 200
    signature: str = "unchecked"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the body as `body` when it is text, else as `body_base64`."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__ if name != "body"}
        try:
            return values | {"body": self.body.decode()}
        except UnicodeDecodeError:
            return values | {"body_base64": base64.b64encode(self.body).decode()}

    def json(self) -> Any:
        return json.loads(self.body)


class Ledger:
    """Counts by webhook-id; `keep` deliveries stay readable, the newest ones."""

    def __init__(self, keep: int = 100_000, path: Path | None = None) -> None:
        self.kept: deque[Delivery] = deque(maxlen=keep)
        self._file = path.open("ab", buffering=0) if path is not None else None
        self.clear()

    def clear(self) -> None:
        """Forgets what was received; the file stays as it is."""
        self.kept.clear()
        self.requests = 0
        self.repeated_after_success = 0
        self.first_at: float | None = None
        self.last_at: float | None = None
        self.times: Counter[str] = Counter()
        self.succeeded: set[str] = set()
        self.statuses: Counter[str] = Counter()
        self.signatures: Counter[str] = Counter()

    def times_seen(self, webhook_id: str) -> int:
        return self.times[webhook_id]

    def add(self, delivery: Delivery) -> None:
        self._count(delivery)
        self.kept.append(delivery)
        if self._file is not None:
            self._file.write(json.dumps(delivery.as_dict()).encode() + b"\n")

    def _count(self, delivery: Delivery) -> None:
        self.requests += 1
        self.first_at = self.first_at or delivery.received_at
        self.last_at = delivery.received_at
        self.statuses[str(delivery.status)] += 1
        self.signatures[delivery.signature] += 1
        if not delivery.webhook_id:
            return
        self.times[delivery.webhook_id] += 1
        self.repeated_after_success += delivery.webhook_id in self.succeeded
        if delivery.status is not None and 200 <= delivery.status < 300:
            self.succeeded.add(delivery.webhook_id)

    def stats(self) -> dict[str, Any]:
        """`duplicates`: requests beyond the first of their webhook-id, of which `repeated_after_success` came after a
        2xx answer and so cannot be blamed on us; `succeeded`: webhook-ids that got a 2xx.
        """
        return {
            "requests": self.requests,
            "distinct": len(self.times),
            "duplicates": self.times.total() - len(self.times),
            "repeated_after_success": self.repeated_after_success,
            "succeeded": len(self.succeeded),
            "by_status": dict(self.statuses),
            "signatures": dict(self.signatures),
            "first_at": self.first_at,
            "last_at": self.last_at,
        }

    def page(self, after: int, limit: int) -> dict[str, Any]:
        """Up to `limit` kept deliveries beyond the first `after` received, and `next`, the `after` to go on with."""
        forgotten = self.requests - len(self.kept)
        start = max(0, after - forgotten)
        shown = [delivery.as_dict() for delivery in islice(self.kept, start, start + limit)]
        return {"requests": shown, "next": forgotten + start + len(shown)}

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

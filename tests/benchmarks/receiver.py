"""The receiver of webhooks: the bare fake, a process of its own."""

from __future__ import annotations

import os
from typing import Any

import httpx

from benchmarks.processes import SCRIPTS, START_SECONDS, HttpProcess, MeasurementInvalid, Process, until
from benchmarks.stage import Place
from nexus_shared.testing.processes import LOOPBACK, free_port

KEPT = 1_000_000
MOST_SECONDS = 300


class Receiver(HttpProcess):
    """Counts webhooks by webhook-id and answers 200."""

    def __init__(self, place: Place) -> None:
        port = free_port()
        arguments = ["receiver", "--bare", "--keep", str(KEPT), "--port", str(port)]
        command = [str(SCRIPTS / "nexus-fakes"), *arguments]
        super().__init__("receiver", command, os.environ, place.logs / "receiver.log", port)
        self.address = f"{LOOPBACK}:{port}"
        self.hook = f"{self.url}/hook"

    async def listening(self) -> None:
        await self.ready("/_control/stats")

    async def stats(self) -> dict[str, Any]:
        """Counts; `first_at` and `last_at` are times of arrival in seconds since 1970."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            answer: dict[str, Any] = (await client.get("/_control/stats")).json()
            return answer

    async def arrivals(self) -> dict[str, float]:
        """webhook-id -> when it arrived first."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            answer = await client.get("/_control/requests", params={"after": 0, "limit": KEPT})
        found: dict[str, float] = {}
        for request in answer.json()["requests"]:
            found.setdefault(request["webhook_id"], request["received_at"])
        return found

    async def first(self, *processes: Process) -> None:
        """Returns when something has arrived."""

        async def has_come() -> bool:
            return bool((await self.stats())["requests"])

        await until(has_come, START_SECONDS, "the first webhook", self, *processes, every=0.02)

    async def wait_for(
        self, count: int, *processes: Process, seconds: float = MOST_SECONDS
    ) -> dict[str, Any]:
        """The counts when `count` different webhooks have arrived; more than that, or twice one, is invalid."""

        async def is_there() -> bool:
            return bool((await self.stats())["distinct"] >= count)

        await until(is_there, seconds, f"{count} webhooks", self, *processes, every=0.2)
        stats = await self.stats()
        if (stats["distinct"], stats["requests"]) != (count, count):
            raise MeasurementInvalid(f"{count} webhooks expected, the receiver got {stats}")
        return stats

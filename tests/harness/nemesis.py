"""Whoever wants the platform to fail: kills, freezes, loses and refuses at random, and counts what it did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from random import Random

from tests.harness.losses import losing_frames, purge
from tests.harness.programs import ServiceProgram
from tests.harness.stack import PROCESSOR, Stack

from nexus_shared.messaging.connection import BROKER_AWAY
from nexus_shared.topology import LANES

RESTART_SECONDS = 0.3
MISBEHAVIOURS: tuple[dict[str, object], ...] = ({"status": 503}, {"close": "before"}, {"delay": 1.0})


@dataclass
class Damage:
    """What was done, in numbers."""

    services_killed: int = 0
    services_frozen: int = 0
    broker_killed: int = 0
    postgres_killed: int = 0
    frames_lost: int = 0
    events_lost: int = 0
    messages_purged: int = 0
    receiver_misbehaved: int = 0
    holes_noticed: int = 0

    def shortcomings(self) -> list[str]:
        """What should have happened and did not: a run without faults proves nothing."""
        needed = {
            "services killed": self.services_killed,
            "broker killed": self.broker_killed,
            "PostgreSQL killed": self.postgres_killed,
            "frames lost": self.frames_lost,
            "messages purged": self.messages_purged,
            "holes noticed": self.holes_noticed,
        }
        return [f"no fault of this kind happened: {what}" for what, times in needed.items() if not times]

    def as_dict(self) -> dict[str, int]:
        return {name.replace("_", " "): times for name, times in asdict(self).items()}


class Nemesis:
    """The same seed makes the same choices, as far as time allows; `damage` counts them."""

    def __init__(self, stack: Stack, seed: int, seconds: float) -> None:
        self._stack, self._random, self._seconds = stack, Random(seed), seconds
        self.damage = Damage()

    async def rage(self) -> None:
        """For `seconds`; whatever is dead or frozen at the end is left for `Stack.up` to bring back."""
        tasks = [
            asyncio.create_task(self._supervise()),
            asyncio.create_task(self._again_and_again(self._hurt_a_service, 1.0, 4.0)),
            asyncio.create_task(self._again_and_again(self._lose_frames, 0.5, 3.0)),
            asyncio.create_task(self._again_and_again(self._purge_lanes, 4.0, 8.0)),
            asyncio.create_task(self._again_and_again(self._upset_the_receiver, 3.0, 7.0)),
            asyncio.create_task(self._later(0.35, self._kill_broker)),
            asyncio.create_task(self._later(0.65, self._kill_postgres)),
        ]
        try:
            await asyncio.sleep(self._seconds)
        finally:
            # The two that were begun must not stop half-way: a server would stay down.
            done = await asyncio.gather(*tasks[-2:], return_exceptions=True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stack.receiver.behave()
        for failure in (result for result in done if isinstance(result, BaseException)):
            raise failure

    async def _supervise(self) -> None:
        while True:
            for program in self._stack.programs:
                if not program.is_running:
                    program.start()
            await asyncio.sleep(RESTART_SECONDS)

    async def _again_and_again(self, harm: Callable[[], Awaitable[None]], least: float, most: float) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(least, most))
            with contextlib.suppress(*BROKER_AWAY):
                await harm()

    async def _later(self, share: float, harm: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(self._seconds * share)
        await harm()

    async def _hurt_a_service(self) -> None:
        program: ServiceProgram = self._random.choice(self._stack.programs)
        if not program.is_running:
            return
        if self._random.random() < 0.2:
            self.damage.services_frozen += 1
            program.freeze()
            try:
                await asyncio.sleep(self._random.uniform(1, 4))
            finally:
                program.thaw()
        else:
            self.damage.services_killed += 1
            program.kill()

    async def _lose_frames(self) -> None:
        lanes = self._random.sample(range(LANES), self._random.randint(1, LANES))
        async with losing_frames(self._stack.vhost.url, lanes) as lost:
            await asyncio.sleep(self._random.uniform(0.2, 1.2))
        self.damage.frames_lost += lost.frames
        self.damage.events_lost += lost.events

    async def _purge_lanes(self) -> None:
        """Nobody reads the lanes for a moment, and then nobody can."""
        for program in self._stack.services[PROCESSOR]:
            self.damage.services_killed += program.is_running
            program.kill()
        for _ in range(4):
            await asyncio.sleep(0.3)
            if purged := await purge(self._stack.vhost.url):
                self.damage.messages_purged += purged
                return

    async def _upset_the_receiver(self) -> None:
        self.damage.receiver_misbehaved += 1
        await self._stack.receiver.behave(**self._random.choice(MISBEHAVIOURS))
        await asyncio.sleep(self._random.uniform(0.3, 1.5))
        await self._stack.receiver.behave()

    async def _kill_broker(self) -> None:
        self.damage.broker_killed += 1
        await asyncio.to_thread(self._stack.private.kill_rabbitmq)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(self._stack.private.start_rabbitmq)

    async def _kill_postgres(self) -> None:
        self.damage.postgres_killed += 1
        await asyncio.to_thread(self._stack.private.kill_postgres)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(self._stack.private.start_postgres)

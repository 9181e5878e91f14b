"""Starts everything in order, watches over it, stops it in order."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx

from nexus_cli.launcher import broker, demo_clinic, schemas
from nexus_cli.launcher.environment import environment_of
from nexus_cli.launcher.installation import DEMO_RECEIVER, DEMO_RECEIVER_PORT, Installation
from nexus_cli.launcher.screen import Reporter
from nexus_cli.launcher.service_process import ServiceProcess
from nexus_cli.outcomes import CommandFailed
from nexus_shared.testing.processes import is_alive, is_ours, tail, wait_until

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
IMPATIENCE_SECONDS = 2.0
WATCH_SECONDS = 0.2

OnReady = Callable[[], None]
OnTick = Callable[[], None]


class Stopped(Exception):
    """A person or the system wants everything stopped."""


class Supervisor:
    """One run of the whole system. `run` returns after SIGINT, SIGTERM or SIGHUP, with everything stopped."""

    def __init__(self, installation: Installation, reporter: Reporter) -> None:
        self._installation = installation
        self._reporter = reporter
        self._stopping = asyncio.Event()
        self._stop_asked_at: float | None = None
        self.processes: list[ServiceProcess] = []

    async def run(self, on_ready: OnReady, on_tick: OnTick = lambda: None) -> None:
        """Calls `on_ready` once everything is healthy and `on_tick` five times a second from then on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop_asked)
        self._installation.prepare()
        with self._installation.supervised() as alone:
            if not alone:
                raise CommandFailed("Another nexus up is at work in this directory.", "Look at: nexus status")
            try:
                await self._start()
                on_ready()
                await self._watch(on_tick)
            except Stopped:
                pass
            finally:
                await self._stop()

    def _stop_asked(self) -> None:
        """The first time: in order. Later again: at once; a terminal and make may send one signal twice."""
        if self._stop_asked_at is None:
            self._stop_asked_at = time.monotonic()
            self._stopping.set()
            self._reporter.say("Stopping …")
        elif time.monotonic() - self._stop_asked_at > IMPATIENCE_SECONDS:
            for process in self.processes:
                process.kill()

    async def _start(self) -> None:
        installation = self._installation
        await self._step(
            "Leftovers of an earlier start", stop_leftovers, only_if=bool(installation.memory().pids)
        )
        secrets = broker.complete_secrets(installation)
        installation.servers.definitions = broker.definitions_of(secrets)
        await self._step("PostgreSQL and RabbitMQ", broker.start_servers)
        await self._step("Database schemas", schemas.prepare_and_migrate)
        self._choose_ports()
        self.processes = [self._process(entry.name) for entry in installation.services]
        for process in self.processes:
            process.start()
        self._remember()
        for process in self.processes:
            with self._reporter.step(f"{process.name} on {process.url}"):
                await self._or_stop(self._ready(process))
        await self._step("Demo clinic", demo_clinic.ensure)

    async def _step(self, what: str, task: Callable[[Installation], object], *, only_if: bool = True) -> None:
        if not only_if:
            return
        with self._reporter.step(what):
            await asyncio.to_thread(task, self._installation)
        if self._stopping.is_set():
            raise Stopped

    async def _or_stop(self, task: Awaitable[None]) -> None:
        doing = asyncio.ensure_future(task)
        stopping = asyncio.ensure_future(self._stopping.wait())
        done, _ = await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for unfinished in {doing, stopping} - done:
            unfinished.cancel()
        if doing not in done:
            raise Stopped
        doing.result()

    def _choose_ports(self) -> None:
        memory = self._installation.memory()
        wishes = [(entry.name, entry.port) for entry in self._installation.services]
        for name, preferred in [*wishes, (DEMO_RECEIVER, DEMO_RECEIVER_PORT)]:
            before = memory.ports.get(name, preferred)
            port, changed = memory.choose_port(name, preferred)
            if changed:
                self._reporter.warn(f"Port {before} is in use: {name} listens on {port} instead.")
        self._installation.keep_memory(memory)

    def _process(self, name: str) -> ServiceProcess:
        installation = self._installation
        entry = installation.service(name)
        return ServiceProcess(
            entry,
            environment_of(entry, installation),
            installation.working_directory_of(name),
            installation.logs / f"{name}.log",
            installation.memory().ports[name],
        )

    async def _ready(self, process: ServiceProcess) -> None:
        """Wait until the service says it is ready. Raises CommandFailed with the end of its log."""
        deadline = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient(base_url=process.url, timeout=2) as client:
            while time.monotonic() < deadline:
                if (status := process.ended()) is not None:
                    raise CommandFailed(
                        f"{process.name} ended with status {status}.\n{tail(process.log)}",
                        f"Its log: {process.log}",
                    )
                with suppress(httpx.TransportError):
                    if (await client.get("/health/ready")).is_success:
                        return
                await asyncio.sleep(0.1)
        raise CommandFailed(
            f"{process.name} was not ready within {READY_SECONDS:.0f} s.\n{tail(process.log)}",
            f"Ask {process.url}/health/ready what it waits for; its log: {process.log}",
        )

    async def _watch(self, on_tick: OnTick) -> None:
        while not self._stopping.is_set():
            on_tick()
            for process in self.processes:
                self._restart_if_ended(process)
            await self._revive_servers()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), WATCH_SECONDS)

    def _restart_if_ended(self, process: ServiceProcess) -> None:
        if (status := process.ended()) is not None:
            self._reporter.warn(
                f"{process.name} ended with status {status}; it is started again in {process.pause:.0f} s "
                f"(log: {process.log})."
            )
        if process.is_due:
            process.start()
            self._remember()

    async def _revive_servers(self) -> None:
        servers = self._installation.servers
        away = [
            name
            for name, pid in (("PostgreSQL", servers.postgres_pid), ("RabbitMQ", servers.rabbitmq_pid))
            if pid is None
        ]
        if away:
            self._reporter.warn(f"{' and '.join(away)} ended; starting again.")
            await asyncio.to_thread(servers.up)

    def _remember(self) -> None:
        memory = self._installation.memory()
        memory.pids = {process.name: process.pid for process in self.processes if process.pid}
        memory.supervisor = os.getpid()
        self._installation.keep_memory(memory)

    async def _stop(self) -> None:
        """Services first, so that they hand back what they hold; then the broker, then the database."""
        for process in self.processes:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(process.pid for process in self.processes) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for process in self.processes:
            if process.pid:
                self._reporter.warn(f"{process.name} did not stop within {STOP_SECONDS:.0f} s; killed.")
                process.kill()
        await asyncio.to_thread(self._installation.servers.down)
        memory = self._installation.memory()
        memory.pids, memory.supervisor = {}, 0
        self._installation.keep_memory(memory)


def stop_leftovers(installation: Installation) -> list[str]:
    """End services that an earlier supervisor left behind, by their remembered pids; their names."""
    memory = installation.memory()
    left = {
        name: pid
        for name, pid in memory.pids.items()
        if is_ours(pid, installation.working_directory_of(name))
    }
    for pid in left.values():
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not any(is_alive(pid) for pid in left.values()), STOP_SECONDS)
    for pid in filter(is_alive, left.values()):
        os.kill(pid, signal.SIGKILL)
    memory.pids, memory.supervisor = {}, 0
    installation.keep_memory(memory)
    return sorted(left)

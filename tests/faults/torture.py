"""Random kills, losses and crashes for a minute, and then the proof: `make torture`, or

    python -m tests.faults.torture --seconds 60 --seed 7 [--mutant no-holes]

Exit status 0 when every promise was kept and enough was broken to say so, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from tests.faults import mutants
from tests.harness.breakable import breakable_servers
from tests.harness.checker import PROMISES, Violation
from tests.harness.nemesis import Damage, Nemesis
from tests.harness.programs import BIN
from tests.harness.stack import PROCESSOR, TENANTS, Stack, a_stack
from tests.harness.triggers import every_lead, leads_from_ads

from nexus_shared.testing.databases import FreshDatabases
from nexus_shared.testing.provision import Servers

DRAIN_SECONDS = 150.0
"""Longer than a dead worker's lease, and than the second wait for another attempt."""


@dataclass(frozen=True)
class Options:
    """`hurry`: after the faults, leases and waits are over at once instead of by the clock."""

    seconds: float = 60
    seed: int = 0
    mutant: str = ""
    hurry: bool = False
    per_second: float = 40


@dataclass(frozen=True)
class Report:
    options: Options
    damage: Damage
    violations: Sequence[Violation]
    counts: dict[str, int]
    drained_in: float
    directory: Path

    @property
    def faults_missing(self) -> list[str]:
        return self.damage.shortcomings()

    @property
    def is_green(self) -> bool:
        return not self.violations and not self.faults_missing

    def __str__(self) -> str:
        lines = [
            f"torture: {self.options.seconds:.0f} s, seed {self.options.seed}, {self.options.mutant or 'no'} mutant"
        ]
        lines += [f"  {name:<34}{times:>9}" for name, times in (self.damage.as_dict() | self.counts).items()]
        lines.append(f"  {'drained in (s)':<34}{self.drained_in:>9.1f}")
        lines += [f"  BROKEN  {violation}" for violation in self.violations]
        lines += [f"  RED  {missing}" for missing in self.faults_missing]
        kept = len(PROMISES) - len(self.violations)
        lines.append(f"  {'GREEN' if self.is_green else 'RED'}: {kept} of {len(PROMISES)} promises kept")
        return "\n".join(lines if self.is_green else [*lines, f"  logs: {self.directory}"])


async def torture(servers: Servers, databases: FreshDatabases, directory: Path, options: Options) -> Report:
    """Two of each service under load, while a nemesis does its worst; then everything is drained and checked."""
    processor: tuple[str | Path, ...] = (BIN / f"nexus-{PROCESSOR}",)
    if options.mutant:
        processor = (sys.executable, mutants.__file__, options.mutant)
    async with a_stack(servers, databases, directory, replicas=2, processor=processor) as stack:
        for trigger in (*map(every_lead, TENANTS), leads_from_ads(TENANTS[0])):
            await stack.publish(trigger)
        nemesis = Nemesis(stack, options.seed, options.seconds)
        async with stack.load(options.per_second):
            await nemesis.rage()
        await stack.up()
        started = time.monotonic()
        broken = await stack.check(within=DRAIN_SECONDS, hurry=options.hurry)
        drained_in = time.monotonic() - started
        nemesis.damage.holes_noticed = await stack.holes()
        return Report(options, nemesis.damage, broken, _counts(stack), drained_in, directory)


def _counts(stack: Stack) -> dict[str, int]:
    ledger = stack.ledger
    return {
        "events sent": len(ledger.attempted),
        "events confirmed": len(ledger.confirmed),
        "publishes without a confirm": ledger.unconfirmed_publishes,
        "webhook requests received": len(stack.receiver.deliveries()),
    }


async def _main(options: Options) -> int:
    directory = Path(tempfile.mkdtemp(prefix="nexus-torture-"))
    with breakable_servers() as servers:
        databases = FreshDatabases(servers.database_url)
        print(
            f"torture: seed {options.seed}, {options.seconds:.0f} s of faults, then up to 2 min to drain",
            flush=True,
        )
        report = await torture(servers, databases, directory, options)
    print(report)
    return 0 if report.is_green else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="torture", description="Break everything at random, lose nothing.")
    parser.add_argument("--seconds", type=float, default=60, help="how long faults are injected (60)")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="of the choices")
    parser.add_argument("--mutant", choices=sorted(mutants.MUTANTS), default="", help="take a promise out")
    parser.add_argument("--hurry", action="store_true", help="do not wait for leases to run out by the clock")
    parser.add_argument(
        "--per-second", type=float, default=40, help="events of each of three publishers (40)"
    )
    asked = parser.parse_args(arguments)
    return asyncio.run(_main(Options(asked.seconds, asked.seed, asked.mutant, asked.hurry, asked.per_second)))


if __name__ == "__main__":
    raise SystemExit(main())

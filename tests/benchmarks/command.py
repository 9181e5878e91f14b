"""The command: `make bench ARGS="--only a,c --repeat 3"`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import uvloop
from rich.console import Console

from benchmarks import (
    end_to_end,
    http_intake,
    ingesting,
    latency,
    matching,
    memory,
    raw,
    statements,
    stored_log,
)
from benchmarks.costs import load_average
from benchmarks.processes import MeasurementInvalid
from benchmarks.profiling import Profiler
from benchmarks.report import Report
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.stage import Stage, durability, private_servers, stage_on
from nexus_shared.testing.processes import ServerNotFit

BUILD = Path(__file__).resolve().parents[2] / "build"
Measurement = Callable[[Stage, Report], Awaitable[None]]

MEASUREMENTS: dict[str, Sequence[Measurement]] = {
    "a": (ingesting.measure, raw.measure),
    "b": (http_intake.measure,),
    "c": (end_to_end.measure,),
    "d": (latency.measure,),
    "e": (memory.measure,),
    "f": (matching.measure,),
    "g": (stored_log.measure,),
}
EVERYTHING = ",".join(MEASUREMENTS)
TAKE_TURNS_THEMSELVES = "fg"
"""They repeat within one measurement; preparing them again would only cost time."""

_ABOUT = """a: inbound queue to nexus.log, with the naive handler and the raw baselines; b: HTTP intake; c: to a
delivered webhook, with the naive handler; d: latency at 50/s; e: memory at rest; f: matching with 10 to 100,000
triggers; g: appending to a large log. Writes build/bench.json and build/bench-details.json; bench-partial.json instead
when a figure is missing, bench-quick.json with --quick, whose numbers mean nothing but that everything works. Exit
status: 0 all floors are met, 1 one is missed, 2 a figure could not be measured."""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    console, report = Console(), Report()
    try:
        with private_servers() as private, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            profiler = Profiler(BUILD / "profiles", console, is_wanted=asked.profile)
            if asked.profile:
                runner.run(statements.load(private))
            console.print(runner.run(durability(private.urls.database)), "; quorum queues")

            async def measure() -> None:
                async with stage_on(
                    private, _scale(asked), BUILD, profiler, has_fanout=asked.fanout
                ) as stage:
                    await _measure(stage, report, asked, console)

            runner.run(measure())
    except ServerNotFit as reason:
        print(reason, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        console.print("[yellow]interrupted: these are the figures so far[/]")
        report.failures.append("what came after the interruption")
    return _conclude(report, console, asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=_ABOUT)
    parser.add_argument("--only", type=_letters, default=EVERYTHING, metavar="a,c", help="these figures only")
    parser.add_argument("--quick", action="store_true", help="few events: does everything work?")
    parser.add_argument("--stored", type=int, metavar="N", help="events in the log of g (1,000,000)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="rounds; figures are medians")
    parser.add_argument(
        "--profile", action="store_true", help="sample the services with py-spy, and time SQL"
    )
    parser.add_argument("--fanout", action="store_true", help="a and c with a fan-out process beside")
    return parser


def _letters(text: str) -> str:
    """Letters in order, each once."""
    given = {letter.strip() for letter in text.split(",")}
    if unknown := sorted(given - set(MEASUREMENTS)):
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {EVERYTHING}")
    return ",".join(letter for letter in MEASUREMENTS if letter in given)


def _scale(asked: argparse.Namespace) -> Scale:
    scale = QUICK if asked.quick else FULL
    return replace(scale, stored=asked.stored) if asked.stored else scale


async def _measure(stage: Stage, report: Report, asked: argparse.Namespace, console: Console) -> None:
    """Round by round, so that a noisy minute does not hit all runs of one figure."""
    for number in range(1, asked.repeat + 1):
        for letter in asked.only.split(","):
            if number > 1 and letter in TAKE_TURNS_THEMSELVES:
                continue
            for measurement in MEASUREMENTS[letter]:
                await _measure_one(stage, report, measurement, f"{letter}{number}", console)


async def _measure_one(
    stage: Stage, report: Report, measurement: Measurement, name: str, console: Console
) -> None:
    what = f"{name} {measurement.__module__.rpartition('.')[2]}"
    started, before = time.monotonic(), load_average()
    with console.status(f"measuring {what}"):
        try:
            await measurement(stage, report)
        except MeasurementInvalid as reason:
            report.failures.append(f"{what}: {reason}")
        except Exception as error:  # the other figures are worth having
            console.print_exception(max_frames=8)
            report.failures.append(f"{what}: {type(error).__name__}: {error}")
    took = time.monotonic() - started
    report.loads.append(f"{what} {before} → {load_average()}")
    console.print(f"{what}: {took:.0f} s, load {before} → {load_average()}")


def _conclude(report: Report, console: Console, asked: argparse.Namespace) -> int:
    report.show(console)
    is_whole = asked.only == EVERYTHING and not report.failures
    path = report.write(BUILD, "bench-quick" if asked.quick else "bench" if is_whole else "bench-partial")
    console.print(f"written: {path}")
    if report.failures:
        return 2
    is_met = all(floor.is_met(value) for floor, value in report.verdicts().values())
    return 0 if is_met or asked.quick else 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends things in order, as Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)

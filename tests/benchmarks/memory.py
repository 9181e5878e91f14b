"""(e) Resident memory of each service at rest."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from benchmarks.costs import rss_mb
from benchmarks.report import Report
from benchmarks.stage import Stage

SERVICES = ("ingest", "trigger-processor")
ABOUT = (
    "(e) VmRSS of each service, all roles in one process, {seconds:.0f} s after it became ready, in MiB; and the CPU "
    "at rest meanwhile"
)


async def measure(stage: Stage, report: Report) -> None:
    report.about(ABOUT.format(seconds=stage.scale.rest_seconds))
    async with stage.place() as place:
        with ExitStack() as running:
            processes = [running.enter_context(place.service(name)) for name in SERVICES]
            for process in processes:
                await process.ready()
            meter = place.meter(*processes)
            await asyncio.sleep(stage.scale.rest_seconds)
            spent = meter.spent()
            for process in processes:
                process.check()
                report.add(f"rss_mb.{process.name}", rss_mb(process.pid))
            for name, seconds in spent.items():
                report.add(f"rest_cpu_percent.{name}", 100 * seconds / stage.scale.rest_seconds)

"""What was measured: every single value, shown as a table and written as JSON."""

from __future__ import annotations

import json
import os
import platform
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.costs import load_average
from benchmarks.floors import FLOORS, Floor

KEYS = (
    "ingest_eps",
    "ingest_batch_eps",
    "naive_ingest_eps",
    "http_single_eps",
    "http_batch_eps",
    "e2e_eps",
    "naive_e2e_eps",
    "latency_p50_ms",
    "latency_p99_ms",
    "rss_mb",
    "match_cost_ratio_100k",
    "append_ratio",
    "stored_events",
)
"""The figures of bench.json, beside `floors`. One that was not measured is null."""


@dataclass
class Report:
    """Values by figure, in the order in which they came; a figure is the median of its values."""

    values: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    abouts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def add(self, name: str, *values: float) -> None:
        self.values[name].extend(values)

    def cpu(self, name: str, by_process: dict[str, float]) -> None:
        """Microseconds of CPU per event of a measurement, by process."""
        self.costs.setdefault(name, []).append(by_process)

    def about(self, text: str) -> None:
        """How something was measured; said once however often it is measured."""
        if text not in self.abouts:
            self.abouts.append(text)

    def figure(self, name: str) -> float | None:
        return median(self.values[name]) if self.values.get(name) else None

    def verdicts(self) -> dict[str, tuple[Floor, float]]:
        """Floors of what was measured, and the value that is judged."""
        found = {floor.name: (floor, floor.value(self.figure)) for floor in FLOORS}
        return {name: (floor, value) for name, (floor, value) in found.items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        """Exactly the keys of bench.json."""
        rss = {
            name.removeprefix("rss_mb."): round(median(values), 1)
            for name, values in self.values.items()
            if name.startswith("rss_mb.")
        }
        figures = {name: _rounded(self.figure(name)) for name in KEYS}
        floors = {name: floor.as_json(value) for name, (floor, value) in self.verdicts().items()}
        return {**figures, "rss_mb": rss or None, "floors": floors}

    def details(self) -> dict[str, Any]:
        """Everything, for whoever wants to know more than the medians."""
        return {
            "written_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "machine": {
                "cores": os.cpu_count(),
                "system": platform.platform(),
                "python": platform.python_version(),
            },
            "values": dict(self.values),
            "cpu_us_per_event": self.costs,
            "load_averages": self.loads,
            "about": self.abouts,
            "failures": self.failures,
        }

    def write(self, build: Path, name: str) -> Path:
        """`name`.json with the figures and `name`-details.json with all values; the path of the first."""
        build.mkdir(parents=True, exist_ok=True)
        path = build / f"{name}.json"
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n")
        (build / f"{name}-details.json").write_text(json.dumps(self.details(), indent=2) + "\n")
        return path

    def show(self, console: Console) -> None:
        for text in self.abouts:
            console.print(f"[dim]· {text}[/]")
        console.print(self._figures(), self._costs())
        console.print(self._floors())
        console.print(
            f"load averages (1, 5, 15 min) by measurement: {'; '.join(self.loads)}; now {load_average()}"
        )
        for failure in self.failures:
            console.print(f"[red]not measured: {failure}[/]")

    def _figures(self) -> Table:
        table = Table(title="Figures", title_justify="left")
        table.add_column("figure")
        for heading in ("median", "min", "max", "values"):
            table.add_column(heading, justify="right")
        for name, values in self.values.items():
            cells = [_shown(median(values)), _shown(min(values)), _shown(max(values)), str(len(values))]
            table.add_row(name, *cells, style="" if name.split(".")[0] in KEYS else "dim")
        return table

    def _costs(self) -> Table:
        table = Table(title="CPU per event, µs (median)", title_justify="left")
        names = sorted({name for costs in self.costs.values() for cost in costs for name in cost})
        table.add_column("measurement")
        for name in names:
            table.add_column(name, justify="right")
        for measurement, costs in self.costs.items():
            found = [[cost[name] for cost in costs if name in cost] for name in names]
            table.add_row(measurement, *(f"{median(values):,.0f}" if values else "" for values in found))
        return table

    def _floors(self) -> Table:
        table = Table(title="Floors", title_justify="left")
        for heading in ("floor", "wanted", "measured", ""):
            table.add_column(heading)
        for name, (floor, value) in self.verdicts().items():
            verdict = "[green]pass[/]" if floor.is_met(value) else "[red]FAIL[/]"
            table.add_row(name, floor.wanted, _shown(value), verdict)
        return table


def _rounded(value: float | None) -> float | int | None:
    if value is None:
        return None
    return round(value) if value >= 1000 else round(value, 3)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"

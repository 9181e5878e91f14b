"""What a person sees while things start and run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape


class Reporter(Protocol):
    """Where the launcher says what it does; a step shows itself while it lasts and then how long it took."""

    def step(self, what: str) -> AbstractContextManager[None]: ...
    def say(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...


class Screen:
    """A terminal, or a file when the output is redirected: the same lines without colours and spinners."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(soft_wrap=True, highlight=False)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        with self.console.status(f"{escape(what)} …"):
            yield
        self.console.print(f"[green]✓[/] {escape(what)} [dim]{time.monotonic() - started:.1f} s[/]")

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self.console.print(f"[yellow]![/] {escape(text)}")

"""nexus up, in the foreground or in the background."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time

from nexus_cli.launcher import page
from nexus_cli.launcher.installation import Installation
from nexus_cli.launcher.log_lines import LogScreen
from nexus_cli.launcher.screen import Screen
from nexus_cli.launcher.supervisor import Supervisor
from nexus_cli.outcomes import CommandFailed, EnvironmentNotFit, Exit

FOLLOW_SECONDS = 0.2


def up(installation: Installation, *, follow: bool) -> None:
    """Start, unless it runs already; show the page; with `follow` stay until Ctrl-C."""
    screen = Screen()
    if installation.notice:
        screen.warn(installation.notice)
    if not installation.services:
        raise EnvironmentNotFit("No service is installed in this Python.", "Set the checkout up: make setup")
    if installation.exists and installation.is_running:
        _attach(installation, screen, follow=follow)
    elif follow:
        _in_foreground(installation, screen)
    else:
        _in_background(installation, screen)


def _in_foreground(installation: Installation, screen: Screen) -> None:
    logs = _log_screen(installation, screen)

    def on_ready() -> None:
        page.show(screen.console, installation)
        screen.console.print("Logs follow; Ctrl-C stops everything.\n", style="dim")

    asyncio.run(Supervisor(installation, screen).run(on_ready, logs.show_new))
    screen.say("Stopped; the data is kept. Start again with: nexus up")


def _attach(installation: Installation, screen: Screen, *, follow: bool) -> None:
    screen.say("Nexus runs already.")
    page.show(screen.console, installation)
    if not follow:
        return
    screen.console.print(
        "Logs follow; Ctrl-C ends this view only (nexus down stops everything).\n", style="dim"
    )
    logs = _log_screen(installation, screen)
    while installation.is_running:
        logs.show_new()
        time.sleep(FOLLOW_SECONDS)
    screen.say("Nexus was stopped.")


def _log_screen(installation: Installation, screen: Screen) -> LogScreen:
    names = [entry.name for entry in installation.services]
    return LogScreen(screen.console, {name: installation.logs / f"{name}.log" for name in names})


def _in_background(installation: Installation, screen: Screen) -> None:
    """Start a supervisor of its own session and show what it reports until it is ready."""
    installation.prepare()
    reading, writing = os.pipe()
    with (installation.logs / "launcher.log").open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "nexus_cli.launcher.background",
                str(installation.directory),
                str(writing),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
            start_new_session=True,
        )
    os.close(writing)
    with os.fdopen(reading) as reports:
        is_ready = _show_reports(reports, screen)
    if not is_ready:
        process.wait()
        raise CommandFailed(
            "The launcher ended unexpectedly.", f"Its log: {installation.logs / 'launcher.log'}"
        )
    process.returncode = 0  # it stays: forgetting it is no mistake
    page.show(screen.console, installation)
    screen.say(f"It runs in the background: {page.command()} down stops it.")


def _show_reports(reports: object, screen: Screen) -> bool:
    """True once the supervisor says that everything is ready. Raises what it failed with."""
    for line in reports:  # type: ignore[attr-defined]
        told = json.loads(line)
        match told["kind"]:
            case "step":
                screen.console.print(f"[green]✓[/] {told['text']} [dim]{told['seconds']:.1f} s[/]")
            case "say" | "warn":
                screen.warn(told["text"]) if told["kind"] == "warn" else screen.say(told["text"])
            case "failed":
                failure = EnvironmentNotFit if told["code"] == Exit.NOT_FIT else CommandFailed
                raise failure(told["text"], told["advice"])
            case "ready":
                return True
    return False

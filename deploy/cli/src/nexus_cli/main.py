"""The command's entry: verbs live in `nexus_cli.verbs`, one module each, and import what is heavy when they run."""

from __future__ import annotations

import os
import sys

import typer

from nexus_cli.outcomes import CommandFailed, Exit
from nexus_cli.verbs import (
    demo,
    doctor,
    down,
    events,
    log,
    migrate,
    publisher,
    status,
    token,
    up,
)

app = typer.Typer(
    name="nexus",
    help="Nexus Automation on this machine: start it, look into it, operate it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 this machine is not fit (nexus doctor says why).",
)
app.command("up")(up.up)
app.command("down")(down.down)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("migrate")(migrate.migrate)
app.command("demo")(demo.demo)
app.add_typer(events.app, name="events")
app.add_typer(log.app, name="log")
app.add_typer(token.app, name="token")
app.add_typer(publisher.app, name="publisher")


def main() -> None:
    """Run a verb; failures become one sentence on stderr and an exit code."""
    try:
        app()
    except CommandFailed as failure:
        _say(str(failure), failure.advice)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `nexus events tail | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    except Exception as error:
        if (code := _code_of(error)) is None:
            raise
        _say(str(error), "")
        sys.exit(code)


def _code_of(error: Exception) -> Exit | None:
    """The exit code of a failure that carries its own sentence; None for a bug, which shows its traceback."""
    from nexus_shared.errors import NexusError
    from nexus_shared.testing.processes import ServerNotFit

    if isinstance(error, ServerNotFit):
        return Exit.NOT_FIT
    return Exit.FAILED if isinstance(error, NexusError) else None


def _say(reason: str, advice: str) -> None:
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("nexus:", style="bold red", end=" ")
    console.print(reason, markup=False)
    if advice:
        console.print(advice, markup=False, style="cyan")


if __name__ == "__main__":
    main()

"""`nexus-fakes receiver`: a fake third party as a process. The first line on standard output says where it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from nexus_fakes import bare
from nexus_fakes.receiver import Receiver


def main(arguments: list[str] | None = None) -> int:
    """Runs until SIGINT or SIGTERM; 2 for wrong arguments, 1 when the port is taken."""
    asked = _parser().parse_args(arguments)
    try:
        asyncio.run(_run_bare(asked) if asked.bare else _run(asked))
    except OSError as error:
        print(f"nexus-fakes: cannot listen on port {asked.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nexus-fakes", description="Fake third parties on 127.0.0.1.")
    fakes = parser.add_subparsers(required=True, metavar="FAKE")
    receiver = fakes.add_parser("receiver", help="takes webhooks on every path", description=_ABOUT)
    receiver.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    receiver.add_argument(
        "--log", type=Path, metavar="FILE", help="append every request to FILE, one JSON a line"
    )
    receiver.add_argument("--keep", type=int, default=100_000, metavar="N", help="requests to keep in memory")
    receiver.add_argument("--secret", action="append", default=[], help="verify signatures; may be repeated")
    receiver.add_argument("--bare", action="store_true", help="fast and without behaviours, for benchmarks")
    return parser


_ABOUT = (
    "Control it over HTTP: GET /_control/requests?after=N&limit=M, GET /_control/stats, POST /_control/behaviour, "
    "POST /_control/down, POST /_control/reset."
)


async def _run(asked: argparse.Namespace) -> None:
    receiver = Receiver(asked.port, secrets=asked.secret, keep=asked.keep, log=asked.log)
    stopped = _stop_signal()
    async with receiver:
        _announce(receiver.port)
        await stopped.wait()


async def _run_bare(asked: argparse.Namespace) -> None:
    stopped = _stop_signal()
    async with await bare.listen(asked.port, keep=asked.keep, log=asked.log) as server:
        _announce(server.sockets[0].getsockname()[1])
        await stopped.wait()


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _announce(port: int) -> None:
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "port": port}), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

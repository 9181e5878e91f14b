"""A small service that writes down what happens to it; run as a process by test_core_runtime.

python service_on_stage.py PORT [what goes wrong]
"""

from __future__ import annotations

import asyncio
import sys

from fastapi import FastAPI

from nexus_shared.access.tokens import TokenVerifier, public_key_of
from nexus_shared.http.app import create_api
from nexus_shared.jobs import Job
from nexus_shared.observability.metrics import new_registry
from nexus_shared.runtime import Service, run


def tell(line: str) -> None:
    print(f"> {line}", flush=True)  # noqa: T201 - the test reads it


class Told:
    """A resource that tells when it opens and closes."""

    def __init__(self, name: str, wrong: str) -> None:
        self.name, self.wrong = name, wrong

    async def open(self) -> None:
        if self.wrong == f"{self.name} does not open":
            tell(f"{self.name} waits")
            await asyncio.sleep(60)
        if self.wrong == f"{self.name} fails":
            raise RuntimeError(self.name)
        tell(f"{self.name} opened")

    async def close(self) -> None:
        tell(f"{self.name} closed")


class Reader:
    """Has a message in hand when it is told to stop."""

    def __init__(self, wrong: str) -> None:
        self._wrong, self._stopping = wrong, asyncio.Event()

    async def run(self) -> None:
        tell("reader runs")
        if self._wrong == "reader ends":
            return
        if self._wrong == "reader fails":
            raise ValueError("a bug")
        await self._stopping.wait()
        await asyncio.sleep(0.2)
        tell("reader finished its batch")

    async def stop(self) -> None:
        self._stopping.set()


async def work() -> None:
    await asyncio.sleep(0.05)


async def resign(wrong: str) -> None:
    if wrong == "stopping fails":
        raise OSError("the database is away")
    tell("resigned")


def an_api() -> FastAPI:
    return create_api(
        title="On stage",
        service="on-stage",
        routers=[],
        readiness={},
        registry=new_registry("on-stage"),
        access=TokenVerifier({"k1": public_key_of(bytes(32))}),
    )


def main() -> None:
    port, wrong = int(sys.argv[1]), " ".join(sys.argv[2:])
    run(
        Service(
            name="on-stage",
            api=an_api(),
            host="127.0.0.1",
            port=port,
            resources=[Told("database", wrong), Told("broker", wrong)],
            readers=[Reader(wrong)],  # type: ignore[list-item]
            jobs=[Job("work", work, period=0.01)],
            on_stop=[lambda: resign(wrong), lambda: resign("")],
        )
    )
    tell("ended")


if __name__ == "__main__":
    main()

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from nexus_shared.jobs import Job


class Work:
    """What a job calls: answers with the next of `outcomes`, and then with None for ever."""

    def __init__(self, *outcomes: bool | Exception | None) -> None:
        self._outcomes = list(outcomes)
        self.times: list[float] = []
        self._called = asyncio.Event()

    async def __call__(self) -> bool | None:
        self.times.append(asyncio.get_running_loop().time())
        self._called.set()
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def reached(self, calls: int) -> None:
        async with asyncio.timeout(5):
            while len(self.times) < calls:
                self._called.clear()
                await self._called.wait()


@asynccontextmanager
async def running(job: Job) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    task = asyncio.create_task(job.run(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        async with asyncio.timeout(1):
            await task


async def test_a_job_runs_again_after_its_period() -> None:
    work = Work()
    async with running(Job("test", work, period=0.05)):
        await work.reached(3)
    assert all(later - earlier >= 0.04 for earlier, later in zip(work.times, work.times[1:], strict=False))


async def test_a_job_with_more_to_do_goes_on_at_once() -> None:
    work = Work(True, True, True)
    async with running(Job("test", work, period=60)):
        await work.reached(4)
    assert work.times[3] - work.times[0] < 1


async def test_a_job_is_woken_before_its_period_is_over() -> None:
    work = Work()
    job = Job("test", work, period=60)
    async with running(job):
        await work.reached(1)
        await asyncio.sleep(0)
        job.wake.set()
        await work.reached(2)


async def test_a_job_woken_while_it_works_runs_once_more() -> None:
    calls: list[str] = []
    again = asyncio.Event()

    async def once() -> None:
        calls.append("call")
        if len(calls) == 1:
            job.wake.set()
        else:
            again.set()

    job = Job("test", once, period=60)
    async with running(job):
        async with asyncio.timeout(1):
            await again.wait()
    assert len(calls) == 2


async def test_errors_are_told_and_make_the_waits_grow_until_it_works_again() -> None:
    error = ValueError("a patient's name")
    work = Work(error, error, error, True, error)
    with structlog.testing.capture_logs() as told:
        async with running(Job("relay", work, period=60)):
            await work.reached(6)
    waits = [later - earlier for earlier, later in zip(work.times, work.times[1:], strict=False)]
    assert [0.05 <= waits[0] <= 0.25, 0.1 <= waits[1] <= 0.35, 0.2 <= waits[2] <= 0.55] == [True] * 3
    assert waits[4] <= 0.25, "after it worked the waits begin anew"
    assert [line["event"] for line in told] == ["job_failed"] * 4
    assert (told[0]["job"], told[0]["error"]) == ("relay", "ValueError")
    assert "a patient's name" not in str(told)


@pytest.mark.parametrize("outcome", [None, ValueError("down")])
async def test_a_job_that_rests_or_waits_after_an_error_stops_at_once(outcome: Exception | None) -> None:
    work = Work(*[outcome] * 20)
    async with running(Job("test", work, period=60)) as stopping:
        await work.reached(1 if outcome is None else 3)
        stopped_at = asyncio.get_running_loop().time()
        stopping.set()
    assert asyncio.get_running_loop().time() - stopped_at < 0.5


async def test_a_job_finishes_what_it_is_doing_before_it_stops() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def once() -> bool:
        begun.set()
        await may_end.wait()
        ended.set()
        return True

    async with running(Job("test", once, period=60)) as stopping:
        await begun.wait()
        stopping.set()
        await asyncio.sleep(0.02)
        assert not ended.is_set()
        may_end.set()
    assert ended.is_set()

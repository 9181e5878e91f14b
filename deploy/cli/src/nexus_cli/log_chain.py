"""Checking the log's chain: every block's hash is over the hash before it and the digests of its events."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeAlias

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nexus_cli import log_contents
from nexus_cli.outcomes import CommandFailed
from nexus_shared.access.keys import Keys

PAGE_ROWS = 20_000
MOST_FAULTS = 20
EPOCH_JUMP = 2**32
GENESIS = b"\x00"

_HEAD = "select last_position, last_block_hash from ingest.log_head"
_EPOCHS = "select first_position from ingest.log_epochs"
_BLOCKS = (
    "select first_position, last_position, previous_hash, block_hash from ingest.log_blocks"
    " where last_position > $1 and last_position <= $2 order by last_position limit $3"
)
_DIGESTS = (
    "select position, digest from ingest.automation_events"
    " where position > $1 and position <= $2 order by position limit $3"
)
_FIRST = "select min(position) from ingest.automation_events"
_BEYOND = (
    "select min(position) from ingest.automation_events"
    " where position > (select last_position from ingest.log_head)"
)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True)
class Block:
    first: int
    last: int
    previous_hash: bytes
    block_hash: bytes


@dataclass
class Report:
    """What was checked and what is wrong. `archived` events are in blocks whose partitions were detached."""

    blocks: int = 0
    events: int = 0
    archived: int = 0
    last_position: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, sentence: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(sentence)


def sentence(report: Report) -> str:
    checked = f"{report.events} events in {report.blocks} blocks, up to position {report.last_position}"
    if report.archived:
        checked += f" ({report.archived} more are archived: only their place in the chain was checked)"
    if not report.faults:
        return f"The log is whole: {checked}."
    return "\n".join(
        [f"The log is NOT whole; checked {checked}.", *(f"  {fault}" for fault in report.faults)]
    )


def verify(database_url: str, *, master_keys: Keys | None = None, shows_progress: bool = False) -> Report:
    """Check everything up to the head of this moment; appends go on meanwhile.

    With the master keys each event's content is checked against its digest too.
    """
    try:
        report = asyncio.run(_verify(database_url, shows_progress))
        if master_keys is not None:
            for position in asyncio.run(
                log_contents.changed(database_url, master_keys, report.last_position)
            ):
                report.fault(f"position {position}: the content is not what its digest says")
        return report
    except (OSError, asyncpg.PostgresError) as error:
        raise CommandFailed(f"The log cannot be read: {error}", "Is it running? nexus status") from error


async def _verify(database_url: str, shows_progress: bool) -> Report:
    connection = await asyncpg.connect(database_url)
    try:
        head = await connection.fetchrow(_HEAD)
        assert head is not None
        report = Report(last_position=head["last_position"])
        with _progress(shows_progress) as progress:
            task = progress.add_task("Checking", total=report.last_position % EPOCH_JUMP)
            check = ChainCheck(report, {row["first_position"] for row in await connection.fetch(_EPOCHS)})
            oldest = await connection.fetchval(_FIRST) or report.last_position + 1
            events = _Digests(connection, oldest - 1, report.last_position)
            async for block in _blocks(connection, report.last_position):
                check.block(block, await events.of(block) if block.last >= oldest else None)
                progress.update(task, completed=block.last % EPOCH_JUMP)
        check.end(head["last_position"], bytes(head["last_block_hash"]))
        for position in (*events.left_over(), await connection.fetchval(_BEYOND)):
            if position is not None:
                report.fault(f"position {position}: an event that no block has")
        return report
    finally:
        await connection.close()


class ChainCheck:
    """Takes the blocks in order, each with the digests of its events by position (None: they are archived)."""

    def __init__(self, report: Report, epoch_starts: set[int]) -> None:
        self._report = report
        self._epoch_starts = epoch_starts
        self._last_position = 0
        self._last_hash = GENESIS

    def block(self, block: Block, digests: dict[int, bytes] | None) -> None:
        report = self._report
        if block.previous_hash != self._last_hash:
            report.fault(f"block {block.first}-{block.last}: does not continue the block before it")
        if block.first != self._last_position + 1 and block.first not in self._epoch_starts:
            report.fault(f"positions {self._last_position + 1}-{block.first - 1}: no block has them")
        if digests is None:
            report.archived += block.last - block.first + 1
        else:
            self._contents(block, digests)
        report.blocks += 1
        self._last_position, self._last_hash = block.last, block.block_hash

    def _contents(self, block: Block, digests: dict[int, bytes]) -> None:
        expected = range(block.first, block.last + 1)
        if missing := [position for position in expected if position not in digests]:
            self._report.fault(f"position {missing[0]}: {len(missing)} events of its block are missing")
        elif hash_of(block, [digests[position] for position in expected]) != block.block_hash:
            self._report.fault(f"block {block.first}-{block.last}: an event in it was changed")
        self._report.events += len(digests)

    def end(self, last_position: int, last_hash: bytes) -> None:
        """What the head of the log says must be what the last block says."""
        if (last_position, last_hash) != (self._last_position, self._last_hash) and last_position:
            self._report.fault(f"head {last_position}: the blocks end at {self._last_position}")


def hash_of(block: Block, digests: list[bytes]) -> bytes:
    return hashlib.sha256(
        block.previous_hash + struct.pack(">qq", block.first, block.last) + b"".join(digests)
    ).digest()


async def _blocks(connection: Connection, until: int) -> AsyncIterator[Block]:
    after = 0
    while rows := await connection.fetch(_BLOCKS, after, until, PAGE_ROWS):
        for row in rows:
            yield Block(
                row["first_position"],
                row["last_position"],
                bytes(row["previous_hash"]),
                bytes(row["block_hash"]),
            )
        after = rows[-1]["last_position"]


class _Digests:
    """The events' digests, read once in order and handed out block by block."""

    def __init__(self, connection: Connection, after: int, until: int) -> None:
        self._connection, self._after, self._until = connection, after, until
        self._read: dict[int, bytes] = {}
        self._twice: list[int] = []

    async def of(self, block: Block) -> dict[int, bytes]:
        while self._after < block.last:
            rows = await self._connection.fetch(_DIGESTS, self._after, self._until, PAGE_ROWS)
            if not rows:
                break
            for row in rows:
                if row["position"] in self._read:
                    self._twice.append(row["position"])
                self._read[row["position"]] = bytes(row["digest"])
            self._after = rows[-1]["position"]
        return {
            position: self._read.pop(position)
            for position in range(block.first, block.last + 1)
            if position in self._read
        }

    def left_over(self) -> list[int]:
        """Positions that no block asked for, or that two rows claim."""
        return sorted({*self._read, *self._twice})[:MOST_FAULTS]


def _progress(shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not shown,
    )

"""nexus log verify finds whatever was changed, taken out or put in."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from nexus_cli.launcher.registry import SERVICES
from nexus_cli.log_chain import Block, ChainCheck, Report, hash_of, sentence, verify
from nexus_ingest.store.log import LogStore, Row
from nexus_shared.database import Database
from nexus_shared.testing.databases import FreshDatabase, FreshDatabases

MIGRATIONS = SERVICES[0].migrations


def a_row(number: int) -> Row:
    text = str(number)
    return Row(
        lane=1,
        tenant_id="clinica-sul",
        source="crm",
        event_id=text,
        type="lead.created",
        is_known=True,
        schema_version=1,
        subject=None,
        occurred_at=datetime.now(UTC),
        correlation_id=text,
        causation_id=None,
        hops=0,
        traceparent=None,
        data="{}",
        sealed=None,
        key_id=None,
        digest=hashlib.sha256(text.encode()).digest(),
    )


class Log:
    """A log with events in it; `tamper` is what somebody with all rights could do."""

    def __init__(self, database: FreshDatabase) -> None:
        self.database = database

    async def append(self, *blocks: int) -> None:
        database = Database(self.database.worker_url, self.database.api_url, service="test")
        await database.open()
        first = 1
        for size in blocks:
            await LogStore(database, "test").append([a_row(number) for number in range(first, first + size)])
            first += size
        await database.close()

    async def tamper(self, statement: str) -> None:
        connection = await asyncpg.connect(self.database.admin_url)
        await connection.execute("set session_replication_role = replica; set search_path to ingest")
        await connection.execute(statement)
        await connection.close()

    async def verify(self) -> Report:
        return await asyncio.to_thread(verify, self.database.worker_url)


@pytest.fixture
async def log(fresh_database: FreshDatabases) -> Log:
    log = Log(await fresh_database("ingest", MIGRATIONS))
    await log.append(3, 1, 5)
    return log


@pytest.mark.integration
class TestOnTheRealLog:
    async def test_an_untouched_log_is_whole(self, log: Log) -> None:
        report = await log.verify()
        assert (report.blocks, report.events, report.last_position, report.faults) == (3, 9, 9, [])

    async def test_an_empty_log_is_whole(self, fresh_database: FreshDatabases) -> None:
        report = await Log(await fresh_database("ingest", MIGRATIONS)).verify()
        assert (report.events, report.faults) == (0, [])

    @pytest.mark.parametrize(
        ("statement", "fault"),
        [
            ("update automation_events set digest = '\\x00' where position = 4", "block 4-4: an event in it"),
            ("delete from automation_events where position = 6", "position 6: 1 events"),
            ("update log_blocks set previous_hash = '\\x00' where last_position = 4", "does not continue"),
            ("delete from log_blocks where last_position = 4", "positions 4-4: no block"),
            ("delete from log_blocks where last_position = 9", "head 9: the blocks end at 4"),
            (
                "update automation_events set position = 99 where position = 9",
                "position 99: an event that no block",
            ),
        ],
    )
    async def test_every_kind_of_tampering_is_found(self, log: Log, statement: str, fault: str) -> None:
        await log.tamper(statement)
        report = await log.verify()
        assert any(fault in found for found in report.faults), report.faults
        assert "NOT whole" in sentence(report)

    async def test_a_second_event_at_a_position_is_found(self, log: Log) -> None:
        await log.tamper(
            "insert into automation_events select position, recorded_at - interval '1 s', lane, tenant_id, source,"
            " 'forged', type, is_known, schema_version, subject, occurred_at, correlation_id, causation_id, hops,"
            " traceparent, data, sealed, key_id, digest from automation_events where position = 5"
        )
        assert "position 5: an event that no block has" in (await log.verify()).faults

    async def test_archived_partitions_leave_a_chain_that_still_holds(self, log: Log) -> None:
        await log.tamper(
            "alter table automation_events detach partition automation_events_default;"
            "do $$ declare leaf text; begin for leaf in select inhrelid::regclass from pg_inherits"
            " where inhparent = 'automation_events'::regclass loop"
            " execute 'alter table automation_events detach partition ' || leaf; end loop; end $$"
        )
        report = await log.verify()
        assert (report.events, report.archived, report.faults) == (0, 9, [])
        assert "9 more are archived" in sentence(report)


def chain_of(*sizes: int, start: int = 1) -> list[tuple[Block, dict[int, bytes]]]:
    blocks: list[tuple[Block, dict[int, bytes]]] = []
    previous, first = b"\x00", start
    for size in sizes:
        digests = {position: bytes([position % 256]) for position in range(first, first + size)}
        unhashed = Block(first, first + size - 1, previous, b"")
        block = Block(first, first + size - 1, previous, hash_of(unhashed, list(digests.values())))
        blocks.append((block, digests))
        previous, first = block.block_hash, first + size
    return blocks


def checked(blocks: list[tuple[Block, dict[int, bytes]]], **epochs: Any) -> Report:
    report = Report()
    check = ChainCheck(report, epochs.get("starts", set()))
    for block, digests in blocks:
        check.block(block, digests)
    check.end(blocks[-1][0].last, blocks[-1][0].block_hash)
    return report


def test_a_new_epoch_may_jump_ahead_and_nothing_else_may() -> None:
    before = chain_of(2)
    late = Block(2**32 + 3, 2**32 + 3, before[-1][0].block_hash, b"")
    late = Block(late.first, late.last, late.previous_hash, hash_of(late, [b"x"]))
    blocks = [*before, (late, {late.first: b"x"})]

    assert checked(blocks, starts={1, late.first}).faults == []
    assert checked(blocks, starts={1}).faults == [f"positions 3-{late.first - 1}: no block has them"]


def test_swapped_blocks_are_found() -> None:
    first, second, third = chain_of(1, 2, 3)
    assert checked([first, third, second]).faults

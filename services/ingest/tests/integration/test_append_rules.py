"""What the append answers, and which events are one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from nexus_ingest.store.log import KeyTaken, NewKey
from nexus_shared.database import is_away

pytestmark = pytest.mark.integration


async def appended(instance: Any, *rows: Any) -> list[tuple[str, int]]:
    return [(answer.status, answer.position) for answer in await instance.log.append(rows)]


async def aged(admin: Any, days: int, where: str = "true") -> None:
    """As if these events, and the log's last one, had been recorded so many days ago."""
    past = f"interval '{days} days'"
    monday = "date_trunc('week', min(recorded_at), 'UTC')"
    first = await admin.value(
        f"select {monday} - {past} - interval '1 week' from automation_events where {where}"
    )
    for week in range(3):
        start = first + timedelta(weeks=week)
        await admin.value("select create_partition($1, $2)", start, start + timedelta(weeks=1))
    await admin.unprotected(
        f"update automation_events set recorded_at = recorded_at - {past} where {where}",
    )


async def test_an_event_that_comes_again_is_a_duplicate_with_its_first_position(
    instance: Any, row: Any
) -> None:
    assert await appended(instance, row("a"), row("b")) == [("stored", 1), ("stored", 2)]
    assert await appended(instance, row("c"), row("a")) == [("stored", 3), ("duplicate", 1)]


async def test_an_event_that_comes_again_with_other_content_is_a_conflict(
    instance: Any, admin: Any, row: Any
) -> None:
    await appended(instance, row("a", content='"first"'))
    assert await appended(instance, row("a", content='"second"'), row("b")) == [
        ("conflict", 1),
        ("stored", 2),
    ]
    assert await admin.value("select data from automation_events where event_id = 'a'") == '"first"'


async def test_within_one_batch_the_first_counts(instance: Any, admin: Any, row: Any) -> None:
    batch = [row("a"), row("b"), row("a"), row("a", content='"other"'), row("c"), row("b")]
    assert await appended(instance, *batch) == [
        ("stored", 1), ("stored", 2), ("duplicate", 1), ("conflict", 1), ("stored", 3), ("duplicate", 2),
    ]  # fmt: skip
    assert await appended(instance, *batch[2:4]) == [("duplicate", 1), ("conflict", 1)]
    assert await admin.checked_chain() == 3


async def test_within_one_batch_what_repeats_a_conflict_is_one_as_well(instance: Any, row: Any) -> None:
    await appended(instance, row("a"))
    batch = [row("a", content='"x"'), row("a", content='"x"'), row("a")]
    statuses = [status for status, _ in await appended(instance, *batch)]
    assert statuses[:2] == ["conflict", "conflict"]
    assert statuses[2] == "duplicate", "the third is what was recorded"


async def test_the_same_id_of_another_source_or_tenant_is_another_event(instance: Any, row: Any) -> None:
    rows = [
        row("a"),
        row("a", source="site"),
        row("a", tenant="clinica-norte"),
        row("A"),
        row("a "),
        row("ä"),
    ]
    assert await appended(instance, *rows) == [("stored", number) for number in range(1, 7)]
    assert await appended(instance, *rows) == [("duplicate", number) for number in range(1, 7)]


async def test_a_batch_of_nothing_new_takes_no_position_and_makes_no_block(
    instance: Any, admin: Any, row: Any
) -> None:
    await appended(instance, row("a"))
    await appended(instance, row("a"), row("a", content='"x"'))
    assert await admin.value("select last_position from log_head") == 1
    assert await admin.value("select count(*) from log_blocks") == 1


async def test_a_batch_that_cannot_be_stored_leaves_nothing_and_no_hole(
    instance: Any, admin: Any, row: Any
) -> None:
    await appended(instance, row("a"))
    with pytest.raises(asyncpg.CheckViolationError):
        await appended(instance, row("b"), row("c", hops=33))
    assert await appended(instance, row("d")) == [("stored", 2)]
    assert await admin.checked_chain() == 2


async def test_a_duplicate_is_known_across_partitions_until_the_window_ends(
    instance: Any, admin: Any, row: Any
) -> None:
    await appended(instance, row("young"), row("old"))
    await aged(admin, 30, "event_id = 'young'")
    await aged(admin, 60, "event_id = 'old'")
    leaves = await admin.fetch("select distinct tableoid::regclass::text from automation_events")
    assert len(leaves) == 2
    assert await appended(instance, row("young"), row("old")) == [("duplicate", 1), ("stored", 3)]
    assert await appended(instance, row("old", content='"x"')) == [("conflict", 3)]


async def test_a_window_shorter_than_a_week_still_answers_instead_of_failing(
    instance: Any, admin: Any, row: Any
) -> None:
    await admin.execute("update log_head set dedupe_window = '0 seconds'")
    await appended(instance, row("a"))
    assert await appended(instance, row("a"), row("b")) == [("duplicate", 1), ("stored", 2)]


async def test_what_fell_into_the_default_partition_is_found_again(
    instance: Any, admin: Any, row: Any
) -> None:
    leaf = await admin.value(
        "select to_char(date_trunc('week', now(), 'UTC') at time zone 'UTC', 'YYYYMMDD')"
    )
    await admin.execute(f"alter table automation_events detach partition automation_events_{leaf}")
    await appended(instance, row("a"))
    assert await admin.value("select count(*) from automation_events_default") == 1
    assert await appended(instance, row("a"), row("b")) == [("duplicate", 1), ("stored", 2)]
    await admin.unprotected(
        "update automation_events_default set recorded_at = recorded_at - interval '60 days'"
    )
    assert await appended(instance, row("a")) == [("stored", 3)], (
        "older than the window, and still in the default"
    )


async def test_on_another_server_or_timeline_positions_jump_and_are_never_used_again(
    instance: Any, admin: Any, row: Any
) -> None:
    await appended(instance, row("a"), row("b"))
    await admin.execute("update log_head set server_identity = 'restored/00000001'")
    jumped = 2 + 2**32
    assert await appended(instance, row("c"), row("a")) == [("stored", jumped + 1), ("duplicate", 1)]
    assert await appended(instance, row("d")) == [("stored", jumped + 2)]
    epochs = await admin.fetch("select epoch, first_position from log_epochs order by epoch")
    assert [tuple(epoch) for epoch in epochs] == [(1, 1), (2, jumped + 1)]
    assert await admin.checked_chain() == 4


async def test_a_jump_without_a_new_event_counts_too(instance: Any, admin: Any, row: Any) -> None:
    await appended(instance, row("a"))
    await admin.execute("update log_head set server_identity = 'restored/00000001'")
    assert await appended(instance, row("a")) == [("duplicate", 1)]
    assert (await instance.log.head()).last_position == 1 + 2**32
    assert await appended(instance, row("b")) == [("stored", 2 + 2**32)]


async def test_time_never_goes_back_and_a_reader_sees_what_a_fast_clock_recorded(
    instance: Any, admin: Any, row: Any
) -> None:
    """The server's clock ran an hour ahead, and was set right."""
    ahead = datetime.now(UTC) + timedelta(hours=1)
    await admin.execute("update log_head set last_recorded_at = $1", ahead)
    answers = await instance.log.append([row("a")])
    assert answers[0].recorded_at == ahead
    found = await instance.log.after(0, datetime(2000, 1, 1, tzinfo=UTC), 10)
    assert [stored.event_id for stored in found] == ["a"]
    assert await appended(instance, row("a")) == [("duplicate", 1)]


async def test_keys_commit_with_their_events_and_the_first_of_two_wins(
    instance: Any, admin: Any, row: Any
) -> None:
    key = NewKey(UUID(int=7), "clinica-sul", b"wrapped")
    await instance.log.append([row("a", key_id=key.key_id)], [key])
    await instance.log.append([row("b", key_id=key.key_id)], [key])
    with pytest.raises(KeyTaken):
        await instance.log.append([row("c")], [key._replace(wrapped=b"another")])
    assert await admin.value("select count(*) from automation_events") == 2
    assert await admin.value("select wrapped from subject_keys") == b"wrapped"


async def test_a_client_that_dies_holds_no_lock(instance: Any, instances: Any, admin: Any, row: Any) -> None:
    calls = [
        asyncio.create_task(instance.log.append([row(f"{n}-{m}") for m in range(300)])) for n in range(6)
    ]
    await asyncio.sleep(0.01)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    other = await instances()
    assert (await asyncio.wait_for(appended(other, row("after")), 2))[0][0] == "stored"
    assert await admin.checked_chain() == await admin.value("select last_position from log_head")


async def test_the_look_up_of_duplicates_reads_the_identity_index_of_the_window_only(
    instance: Any, admin: Any, row: Any
) -> None:
    """With far more rows than one would look through, and statistics that know nothing of them."""
    for start in range(0, 3_000, 500):
        await appended(instance, *(row(str(number)) for number in range(start, start + 500)))
    await admin.execute("load 'auto_explain'")
    plan = "\n".join(await _plans_of_append(admin, 100))
    assert "_identity" in plan
    assert "Seq Scan on automation_events" not in plan
    assert "Bitmap" not in plan


async def _plans_of_append(admin: Any, events: int) -> list[str]:
    """The plans of the statements inside the function, as auto_explain tells them."""
    told: list[str] = []
    connection = admin.connection
    connection.add_log_listener(lambda _, message: told.append(message.message))
    await connection.execute(
        "set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;"
        " set auto_explain.log_analyze = on; set auto_explain.log_level = notice; set client_min_messages = notice"
    )
    numbers = f"generate_series(1, {events}) n"
    texts = f"(select array_agg('x' || n) from {numbers})"
    await connection.execute(
        f"select append('explain', (select array_agg(0::smallint) from {numbers}), {texts}, {texts}, {texts}, {texts},"
        f" (select array_agg(true) from {numbers}), (select array_agg(1::smallint) from {numbers}), {texts},"
        f" (select array_agg(now()) from {numbers}), {texts}, {texts}, (select array_agg(0::smallint) from {numbers}),"
        f" {texts}, {texts}, (select array_agg('x'::bytea) from {numbers}),"
        f" (select array_agg(gen_random_uuid()) from {numbers}), (select array_agg('x'::bytea) from {numbers}),"
        " '{}', '{}', '{}')"
    )
    return told


async def test_a_statement_that_was_cancelled_is_worth_another_try(
    instance: Any, admin: Any, row: Any
) -> None:
    await admin.execute("begin; select 1 from log_head for update")
    call = asyncio.create_task(instance.log.append([row("a")]))
    await asyncio.sleep(0.1)
    await admin.execute("select pg_cancel_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'")
    with pytest.raises(asyncpg.QueryCanceledError) as cancelled:
        await call
    assert is_away(cancelled.value)
    await admin.execute("rollback")
    assert await appended(instance, row("a")) == [("stored", 1)]

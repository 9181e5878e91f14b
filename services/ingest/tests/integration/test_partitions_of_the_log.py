from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from nexus_ingest.store.log import _AFTER
from nexus_shared.database import is_away

pytestmark = pytest.mark.integration

FAR = timedelta(weeks=20)


async def leaves(admin: Any) -> list[str]:
    rows = await admin.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'automation_events'::regclass"
    )
    return sorted(row["name"] for row in rows)


async def test_weeks_are_made_ahead_once_without_gaps(instance: Any, admin: Any) -> None:
    before = await leaves(admin)
    made = await instance.log.make_partitions(20)
    assert len(made) == 12, "eight weeks were made by the migration"
    assert await leaves(admin) == sorted(before + made)
    assert await instance.log.make_partitions(20) == []
    weeks = [datetime.strptime(name[-8:], "%Y%m%d") for name in await leaves(admin) if name[-1].isdigit()]
    assert {later - earlier for earlier, later in pairwise(weeks)} == {timedelta(weeks=1)}
    assert all(week.weekday() == 0 for week in weeks)


async def test_a_new_week_is_protected_like_every_other(instance: Any, admin: Any, row: Any) -> None:
    (made,) = await instance.log.make_partitions(9)
    indexes = await admin.fetch("select indexdef from pg_indexes where tablename = $1", made)
    assert any(
        "UNIQUE" in each["indexdef"] and "(event_id, tenant_id, source)" in each["indexdef"]
        for each in indexes
    )
    await admin.execute("update log_head set last_recorded_at = now() + interval '9 weeks'")
    await instance.log.append([row("a")])
    assert await admin.value(f"select count(*) from {made}") == 1
    for statement in (f"update {made} set type = 'x'", f"delete from {made}", f"truncate {made}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await admin.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with instance.database.connection() as connection:
            await connection.fetch(f"select * from {made}")


async def test_old_weeks_are_detached_whole_once_and_keep_their_events(
    instance: Any, admin: Any, row: Any
) -> None:
    await instance.log.append([row("old")])
    await admin.execute("update log_head set last_recorded_at = now() + interval '5 weeks'")
    await instance.log.append([row("young")])
    limit = datetime.now(UTC) + timedelta(weeks=2)
    detached = await instance.log.detach_partitions(limit)
    assert 2 <= len(detached) <= 4
    assert await instance.log.detach_partitions(limit) == []
    kept = await instance.log.after(0, datetime(2000, 1, 1, tzinfo=UTC), 10)
    assert [stored.event_id for stored in kept] == ["young"]
    rows = [await admin.fetch(f"select event_id from {name}") for name in detached]
    assert [each["event_id"] for found in rows for each in found] == ["old"]
    assert set(await leaves(admin)).isdisjoint(detached)


async def test_a_week_that_is_not_over_stays(instance: Any, admin: Any) -> None:
    before = await leaves(admin)
    this_monday = await admin.value("select date_trunc('week', now(), 'UTC')")
    detached = await instance.log.detach_partitions(this_monday + timedelta(days=6))
    assert all(name[-8:] < f"{this_monday:%Y%m%d}" for name in detached)
    assert len(await leaves(admin)) == len(before) - len(detached)


async def test_a_detached_week_is_not_made_again_over_it(instance: Any, admin: Any, row: Any) -> None:
    await instance.log.append([row("a")])
    detached = await instance.log.detach_partitions(datetime.now(UTC) + FAR)
    assert await instance.log.make_partitions(8) == []
    assert (await instance.log.append([row("b")]))[0].status == "stored", "the default partition takes it"
    assert await admin.value("select count(*) from automation_events_default") == 1
    assert len(detached) >= 9


async def test_events_in_the_default_partition_keep_no_other_week_from_being_made(
    instance: Any, admin: Any, row: Any
) -> None:
    await admin.execute("update log_head set last_recorded_at = now() + interval '12 weeks'")
    await instance.log.append([row("ahead")])
    assert await admin.value("select default_holds_rows()") is True
    made = await instance.log.make_partitions(20)
    assert len(made) == 11, "all but the one whose events the default partition holds"
    assert await instance.log.make_partitions(20) == []


async def test_making_and_detaching_give_up_behind_a_long_read_instead_of_holding_up_every_append(
    instance: Any, admin: Any, row: Any
) -> None:
    await admin.execute("begin; select count(*) from automation_events")
    for attempt in (
        instance.log.make_partitions(20),
        instance.log.detach_partitions(datetime.now(UTC) + FAR),
    ):
        with pytest.raises(asyncpg.LockNotAvailableError) as refused:
            await attempt
        assert is_away(refused.value), "the job tries again"
        assert (await instance.log.append([row(str(attempt))]))[0].status == "stored"
    await admin.execute("rollback")
    assert await instance.log.make_partitions(9)


async def test_following_the_log_reads_only_the_partitions_that_can_hold_what_is_new(
    instance: Any, admin: Any, row: Any
) -> None:
    answers = await instance.log.append([row("a")])
    plan = "\n".join(
        each[0]
        for each in await admin.fetch(
            "explain (analyze, costs off, timing off, summary off) "
            + _AFTER.replace("$1", "0").replace("$2", f"'{answers[0].recorded_at}'").replace("$3", "100")
        )
    )
    read = [
        line
        for line in plan.splitlines()
        if "Scan" in line and "log_head" not in line and "never" not in line
    ]
    assert len([line for line in read if "automation_events_" in line]) <= 2, plan

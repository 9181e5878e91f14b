import asyncio
from pathlib import Path
from typing import Any

import pytest

from nexus_shared.database.migrations import MigrationFailed, load, migrate

pytestmark = pytest.mark.integration

FIRST = "create table a (id int primary key);"
SECOND = "create table b (id int primary key references a);\ninsert into a values (1);"
CONCURRENT = "-- no-transaction\ncreate index concurrently a_index on a (id);"


def a_directory(path: Path, *contents: str) -> Path:
    """Files 0001_step.sql, 0002_step.sql, …"""
    path.mkdir(exist_ok=True)
    for number, content in enumerate(contents, 1):
        (path / f"{number:04d}_step.sql").write_text(content)
    return path


async def applied(blank: Any) -> list[tuple[object, ...]]:
    return await blank.rows("select version, name from schema_migrations order by version")


async def test_files_are_applied_in_order_once_as_the_owner(blank: Any, tmp_path: Path) -> None:
    files = a_directory(tmp_path, FIRST, SECOND, CONCURRENT)
    assert await migrate(blank.admin_url, blank.schema, files) == [f"000{n}_step.sql" for n in (1, 2, 3)]
    assert await migrate(blank.admin_url, blank.schema, files) == []
    owners = await blank.rows("select distinct tableowner from pg_tables where schemaname = $1", blank.schema)
    assert owners == [(blank.roles.owner,)]
    assert await blank.rows("select count(*) from pg_indexes where indexname = 'a_index'") == [(1,)]
    assert await blank.rows(
        "select min(length(checksum)), bool_and(duration_ms >= 0) from schema_migrations"
    ) == [(64, True)]


async def test_six_that_start_together_apply_each_file_once(blank: Any, tmp_path: Path) -> None:
    files = a_directory(tmp_path, FIRST, SECOND, CONCURRENT, "select pg_sleep(0.2);")
    names = await asyncio.gather(*(migrate(blank.admin_url, blank.schema, files) for _ in range(6)))
    assert sorted(name for some in names for name in some) == [f"000{n}_step.sql" for n in (1, 2, 3, 4)]
    assert await blank.rows("select count(*) from a") == [(1,)]


async def test_a_file_that_was_edited_after_it_was_applied_stops_everything(
    blank: Any, tmp_path: Path
) -> None:
    await migrate(blank.admin_url, blank.schema, a_directory(tmp_path, FIRST))
    with pytest.raises(MigrationFailed, match=r"0001_step.sql was changed.*add a new file"):
        await migrate(blank.admin_url, blank.schema, a_directory(tmp_path, FIRST + "-- x", SECOND))
    assert await applied(blank) == [(1, "0001_step.sql")]


async def test_a_file_that_fails_says_where_and_leaves_nothing_of_itself(blank: Any, tmp_path: Path) -> None:
    broken = "create table c (id int);\ncreate table d (\n  id intt\n);"
    with pytest.raises(MigrationFailed, match=r"0002_step.sql, line 3: type \"intt\" does not exist"):
        await migrate(blank.admin_url, blank.schema, a_directory(tmp_path, FIRST, broken, SECOND))
    assert await applied(blank) == [(1, "0001_step.sql")]
    assert await blank.rows("select tablename from pg_tables where tablename in ('b', 'c')") == []
    files = a_directory(tmp_path, FIRST, broken.replace("intt", "int"), SECOND)
    assert await migrate(blank.admin_url, blank.schema, files) == ["0002_step.sql", "0003_step.sql"]


async def test_a_file_without_a_transaction_that_fails_is_tried_again(blank: Any, tmp_path: Path) -> None:
    wrong = CONCURRENT.replace("(id)", "(idd)")
    with pytest.raises(MigrationFailed, match=r"0002_step.sql"):
        await migrate(blank.admin_url, blank.schema, a_directory(tmp_path, FIRST, wrong))
    assert await migrate(blank.admin_url, blank.schema, a_directory(tmp_path, FIRST, CONCURRENT)) == [
        "0002_step.sql"
    ]


async def test_an_older_build_does_not_touch_a_newer_database(blank: Any, tmp_path: Path) -> None:
    await migrate(blank.admin_url, blank.schema, a_directory(tmp_path / "new", FIRST, SECOND))
    with pytest.raises(MigrationFailed, match=r"newer than this build \(it has \[2\]\)"):
        await migrate(blank.admin_url, blank.schema, a_directory(tmp_path / "old", FIRST))


@pytest.mark.parametrize("names", [["1_a.sql"], ["0001_A.sql"], ["0001-a.sql"], ["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"]])  # fmt: skip # noqa: E501
def test_files_with_wrong_names_gaps_or_repeats_are_refused(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1;")
    with pytest.raises(MigrationFailed, match=r"name it NNNN_what_it_does.sql|without gaps or repeats"):
        load(tmp_path)

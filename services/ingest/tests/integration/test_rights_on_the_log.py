"""Who may do what to the log: nothing but append and read, and a tenant reads its own."""

from typing import Any

import asyncpg
import pytest

from nexus_shared.ids import TenantId

pytestmark = pytest.mark.integration

DENIED = asyncpg.InsufficientPrivilegeError
SUL, NORTE = TenantId("clinica-sul"), TenantId("clinica-norte")


@pytest.fixture
async def leaf(instance: Any, admin: Any, row: Any) -> str:
    """Two tenants' events are recorded; the name of the partition that holds them."""
    await instance.log.append([row("a"), row("b", tenant="clinica-norte")])
    return str(await admin.value("select distinct tableoid::regclass::text from automation_events"))


CHANGES = [
    "insert into {table} select * from automation_events limit 1",
    "update {table} set type = 'lead.lost'",
    "delete from {table}",
    "truncate {table}",
]


async def allowed(way: Any, *statements: str) -> list[str]:
    """Which of the statements were not refused; `way` opens a connection for each."""
    found = []
    for statement in statements:
        try:
            async with way() as connection:
                await connection.execute(statement)
        except DENIED:
            continue
        found.append(statement)
    return found


async def test_the_worker_can_only_append_through_the_function(leaf: str, instance: Any) -> None:
    changes = [change.format(table=table) for change in CHANGES for table in ("automation_events", leaf)]
    others = [
        f"select * from {leaf}",
        "update log_head set last_position = 0",
        "delete from log_blocks",
        "insert into log_blocks select * from log_blocks",
        "insert into log_epochs values (9, 9, 'x')",
        "alter table automation_events disable trigger append_only",
        f"drop table {leaf}",
        "create table mine (id int)",
        "set role ingest_owner",
    ]
    assert await allowed(instance.database.connection, *changes, *others) == []


async def test_the_role_behind_requests_reads_and_does_little_else(leaf: str, instance: Any) -> None:
    changes = [change.format(table=table) for change in CHANGES for table in ("automation_events", leaf)]
    others = [
        f"select * from {leaf}",
        "select * from log_blocks",
        "select * from relays",
        f"select append({', '.join(['null'] * 21)})",
        "select create_partition(now(), now())",
        "select detach_partitions(now())",
        "delete from quarantine",
        "insert into subject_keys (key_id, tenant_id) values (gen_random_uuid(), 'clinica-sul')",
        "update quarantine set content = ''",
        "update api_keys set scopes = '{}'",
    ]
    assert await allowed(lambda: instance.database.tenant(SUL), *changes, *others) == []


@pytest.mark.parametrize("role", ["ingest_owner", "superuser"])
async def test_not_even_the_owner_or_the_superuser_changes_events_by_accident(
    role: str, leaf: str, admin: Any
) -> None:
    if role != "superuser":
        await admin.execute(f"set role {role}")
    tables = ("automation_events", leaf)
    changes = [change.format(table=table) for change in CHANGES[1:] for table in tables]
    blocks = ["update log_blocks set writer = 'x'", "delete from log_blocks", "truncate log_blocks"]
    assert await allowed(admin.itself, *changes, *blocks) == []
    assert await admin.value("select count(*) from automation_events") == 2
    assert await admin.checked_chain() == 2


async def test_a_tenant_sees_its_own_events_and_without_a_tenant_there_are_none(
    leaf: str, instance: Any
) -> None:
    for tenant, expected in ((SUL, ["a"]), (NORTE, ["b"]), (TenantId("nobody"), []), (TenantId(""), [])):
        async with instance.database.tenant(tenant) as connection:
            rows = await connection.fetch("select event_id from automation_events")
        assert [row["event_id"] for row in rows] == expected
    unset = instance.database._pools[1]
    async with unset.acquire() as connection:
        assert await connection.fetch("select event_id from automation_events") == []


async def test_every_table_with_a_tenant_is_behind_row_level_security(admin: Any) -> None:
    rows = await admin.fetch(
        "select c.relname, c.relrowsecurity and c.relforcerowsecurity as is_behind"
        " from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " where a.attname = 'tenant_id' and c.relkind in ('r', 'p') and not c.relispartition"
        " and c.relnamespace = 'ingest'::regnamespace"
    )
    assert {"automation_events", "quarantine", "subject_keys"} <= {row["relname"] for row in rows}
    assert [row["relname"] for row in rows if not row["is_behind"]] == []


async def test_another_tenants_rows_can_be_neither_changed_nor_given_away(instance: Any, admin: Any) -> None:
    await admin.execute(
        "insert into tenants (tenant_id, name) values ('clinica-sul', 'Sul'), ('clinica-norte', 'Norte')"
    )
    async with instance.database.tenant(SUL) as connection:
        assert (
            await connection.execute("update tenants set name = 'x' where tenant_id = 'clinica-norte'")
            == "UPDATE 0"
        )
    with pytest.raises(DENIED):
        async with instance.database.tenant(SUL) as connection:
            await connection.execute(
                "insert into api_keys (jti, tenant_id, name, scopes, created_by, expires_at)"
                " values (gen_random_uuid(), 'clinica-norte', 'x', '{}', 'x', now())"
            )
    assert await admin.value("select name from tenants where tenant_id = 'clinica-norte'") == "Norte"

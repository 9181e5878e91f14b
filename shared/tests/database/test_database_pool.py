import asyncio
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from nexus_shared.database import Database, is_away
from nexus_shared.ids import TenantId
from nexus_shared.testing.faultproxy import FaultProxy

pytestmark = pytest.mark.integration

SUL, NORTE = TenantId("clinica-sul"), TenantId("clinica-norte")


async def with_rows(blank: Any) -> None:
    """Two tenants' rows behind row-level security, as migrations make it."""
    table, api = f'"{blank.schema}".things', blank.roles.api
    tenant = "(select nullif(current_setting('app.tenant', true), ''))"
    await blank.execute(
        f"create table {table} (tenant_id text, n int)",
        f"alter table {table} enable row level security",
        f'create policy tenant on {table} to "{api}" using (tenant_id = {tenant})',
        f'grant all on {table} to "{api}"',
        f"insert into {table} values ('clinica-sul', 1), ('clinica-sul', 2), ('clinica-norte', 3)",
    )


async def test_a_tenants_transaction_sees_that_tenants_rows_whatever_it_asks(blank: Any, opened: Any) -> None:
    await with_rows(blank)
    database = await opened()
    for tenant, expected in ((SUL, [1, 2]), (NORTE, [3]), (TenantId("nobody"), []), (TenantId(""), [])):
        async with database.tenant(tenant) as connection:
            rows = await connection.fetch("select n from things order by n")
        assert [row["n"] for row in rows] == expected


async def test_a_tenant_is_forgotten_with_its_transaction(blank: Any, opened: Any) -> None:
    await with_rows(blank)
    database = await opened()
    for _ in range(10):  # until every pooled connection was used for a tenant
        async with database.tenant(SUL) as connection:
            await connection.fetch("select 1")
    pool = database._pools[1]
    for _ in range(10):
        async with pool.acquire() as connection:
            assert await connection.fetchval("select count(*) from things") == 0


async def test_a_tenant_can_change_no_row_of_another(blank: Any, opened: Any) -> None:
    await with_rows(blank)
    database = await opened()
    async with database.tenant(SUL) as connection:
        assert await connection.execute("update things set n = 0 where n = 3") == "UPDATE 0"
        assert await connection.execute("delete from things where tenant_id = 'clinica-norte'") == "DELETE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.tenant(SUL) as connection:
            await connection.execute("insert into things values ('clinica-norte', 4)")
    assert await blank.rows("select n from things order by n") == [(1,), (2,), (3,)]


async def test_a_transaction_that_fails_leaves_nothing(blank: Any, opened: Any) -> None:
    await with_rows(blank)
    await blank.execute(f'grant all on "{blank.schema}".things to "{blank.roles.worker}"')
    await blank.execute(
        f'create policy worker on "{blank.schema}".things to "{blank.roles.worker}" using (true)'
    )
    database = await opened()
    with pytest.raises(ValueError, match="in the middle"):
        async with database.transaction() as connection:
            await connection.execute("insert into things values ('clinica-sul', 9)")
            raise ValueError("in the middle")
    assert await blank.rows("select count(*) from things where n = 9") == [(0,)]


async def test_opening_waits_for_postgres_and_not_for_what_no_waiting_mends(blank: Any, opened: Any) -> None:
    at = urlsplit(blank.admin_url)
    async with FaultProxy(at.hostname or "", at.port or 0) as proxy:
        proxy.cut()
        moved = [url.replace(f":{at.port}/", f":{proxy.port}/") for url in (blank.worker_url, blank.api_url)]
        opening = asyncio.create_task(opened(*moved))
        await asyncio.sleep(0.3)
        assert not opening.done()
        proxy.heal()
        database = await asyncio.wait_for(opening, 10)
        assert await database.is_up()
        proxy.cut()
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)) as refused:
            await database.is_up()
        assert is_away(refused.value)
        proxy.heal()
        async with asyncio.timeout(10):
            assert await database.is_up()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await Database(blank.url_of(blank.roles.worker, "wrong"), blank.api_url, service="test").open()


async def test_connections_say_whose_they_are(opened: Any) -> None:
    database = await opened()
    async with database.connection() as connection:
        assert await connection.fetchval("show application_name") == "nexus-test"

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from nexus_shared.database.roles import ensure_database, prepare, schema_of
from nexus_shared.testing.provision import Servers

pytestmark = pytest.mark.integration


async def refused(url: str, statement: str = "select 1") -> type[Exception]:
    """What the database says to this role."""
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.PostgresError as error:
        return type(error)
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        return type(error)
    finally:
        await connection.close()
    raise AssertionError(f"{statement} was allowed")


async def test_preparing_again_changes_passwords_and_nothing_else(blank: Any) -> None:
    await blank.execute(f'create table "{blank.schema}".kept (id int)')
    for password in ("second", "th'ird"):
        await prepare(blank.admin_url, replace(blank.roles, worker_password=password))
        await blank.execute("select 1", url=blank.url_of(blank.roles.worker, password))
    assert await refused(blank.worker_url) is asyncpg.InvalidPasswordError
    assert await blank.rows("select count(*) from kept") == [(0,)]


async def test_a_database_that_exists_is_left_alone(servers: Servers, blank: Any) -> None:
    await blank.execute(f'create table "{blank.schema}".kept (id int)')
    await ensure_database(servers.database_url, blank.schema)
    assert await blank.rows("select count(*) from kept") == [(0,)]


async def test_the_owner_cannot_log_in_and_its_roles_cannot_make_tables(blank: Any) -> None:
    assert await refused(blank.url_of(blank.roles.owner, "")) in (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidPasswordError,
    )
    for url in (blank.worker_url, blank.api_url):
        assert await refused(url, "create table t (id int)") is asyncpg.InsufficientPrivilegeError
        assert await refused(url, "create schema s") is asyncpg.InsufficientPrivilegeError


async def test_one_service_cannot_enter_the_schema_or_the_database_of_another(
    servers: Servers, blank: Any
) -> None:
    other = replace(blank.roles, schema=f"{blank.schema}_other")
    await prepare(blank.admin_url, other)
    await blank.execute(
        f'create table "{blank.schema}".t (id int)', f'grant select on "{blank.schema}".t to public'
    )
    stranger = blank.url_of(other.worker, other.worker_password)
    assert await refused(stranger, f'select * from "{blank.schema}".t') is asyncpg.InsufficientPrivilegeError
    await blank.execute(f'revoke connect on database "{blank.schema}" from "{other.worker}"')
    assert await refused(stranger) is asyncpg.InsufficientPrivilegeError
    await blank.execute(f'drop schema "{other.schema}"', f'drop owned by "{other.worker}", "{other.api}"')
    await blank.execute(*(f'drop role "{role}"' for role in (other.worker, other.api, other.owner)))


async def test_a_role_finds_its_own_schema_first(blank: Any) -> None:
    for url in (blank.worker_url, blank.api_url):
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("show search_path") == blank.schema
        await connection.close()


def test_a_schema_is_named_like_its_service() -> None:
    assert schema_of("trigger-processor") == "trigger_processor"

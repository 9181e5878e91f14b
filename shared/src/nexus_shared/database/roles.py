"""Roles and schemas: each service owns one schema that no other service's role can enter."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True)
class ServiceRoles:
    """The roles of one schema: an owner that cannot log in, the worker, and the tenant-facing role."""

    schema: str
    worker_password: str
    api_password: str

    @property
    def owner(self) -> str:
        return f"{self.schema}_owner"

    @property
    def worker(self) -> str:
        return self.schema

    @property
    def api(self) -> str:
        return f"{self.schema}_api"


def schema_of(service: str) -> str:
    return service.replace("-", "_")


async def ensure_database(admin_url: str, name: str) -> None:
    """Creates the database when it is missing; nobody but the listed roles may connect to it."""
    connection = await asyncpg.connect(admin_url)
    try:
        if not await connection.fetchval("select 1 from pg_database where datname = $1", name):
            await connection.execute(f'create database "{name}"')
            await connection.execute(f'revoke all on database "{name}" from public')
    finally:
        await connection.close()


async def prepare(admin_url: str, roles: ServiceRoles) -> None:
    """Creates or updates the roles and the schema; safe to repeat. `admin_url` names the database."""
    connection = await asyncpg.connect(admin_url)
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtext('nexus-roles'))")
            await _role(connection, roles.owner, None)
            await _role(connection, roles.worker, roles.worker_password)
            await _role(connection, roles.api, roles.api_password)
            database = await connection.fetchval("select current_database()")
            for role in (roles.worker, roles.api):
                await connection.execute(f'grant connect on database "{database}" to "{role}"')
            await connection.execute(
                f'create schema if not exists "{roles.schema}" authorization "{roles.owner}"'
            )
            for role in (roles.worker, roles.api):
                await connection.execute(f'grant usage on schema "{roles.schema}" to "{role}"')
    finally:
        await connection.close()


async def _role(connection: asyncpg.Connection[asyncpg.Record], name: str, password: str | None) -> None:
    if not await connection.fetchval("select 1 from pg_roles where rolname = $1", name):
        await connection.execute(f'create role "{name}" nologin')
    if password is None:
        return
    # The server quotes the literal; a password never stands in our text.
    statement = await connection.fetchval(
        "select format('alter role %I login password %L', $1::text, $2::text)", name, password
    )
    await connection.execute(statement)
    await connection.execute(f"alter role \"{name}\" set search_path to '{name.removesuffix('_api')}'")

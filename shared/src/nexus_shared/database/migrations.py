"""Migrations: plain SQL files NNNN_what.sql, applied in order as the schema's owner, never edited afterwards.

A file whose first line is `-- no-transaction` holds one statement that cannot run in a transaction (an index built
concurrently). Replicas that start together wait for each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from nexus_shared.errors import NexusError

_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_LOCK_SECONDS = 600


class MigrationFailed(NexusError):
    """A migration cannot be applied; nothing of that file has taken effect."""

    slug = "migration-failed"
    title = "A migration cannot be applied"


@dataclass(frozen=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def is_transactional(self) -> bool:
        return not self.sql.lstrip().startswith("-- no-transaction")


def load(directory: Path) -> list[Migration]:
    """The files in order; raises MigrationFailed for a wrong name, a gap or a repeated number."""
    migrations = []
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.match(path.name)
        if not match:
            raise MigrationFailed(f"{path.name}: name it NNNN_what_it_does.sql")
        migrations.append(Migration(int(match[1]), path.name, path.read_text("utf-8")))
    if [m.version for m in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationFailed(f"{directory.name}: the numbers must run 0001, 0002, … without gaps or repeats")
    return migrations


async def migrate(admin_url: str, schema: str, directory: Path) -> list[str]:
    """Applies what is missing as `<schema>_owner` and returns the names of the files applied."""
    migrations = load(directory)
    connection = await asyncpg.connect(admin_url, server_settings={"application_name": f"migrate-{schema}"})
    try:
        await _lock(connection, schema)
        await connection.execute(
            f'set role "{schema}_owner"; set search_path to "{schema}"; set lock_timeout to \'5s\''
        )
        await connection.execute(
            "create table if not exists schema_migrations (version int primary key, name text not null, "
            "checksum text not null, applied_at timestamptz not null default clock_timestamp(), "
            "duration_ms int not null)"
        )
        return [
            m.name
            for m in await _missing(connection, schema, migrations)
            if await _apply(connection, schema, m)
        ]
    finally:
        await connection.close()


async def _lock(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> None:
    # Polled: a session waiting in pg_advisory_lock() holds a snapshot that CREATE INDEX CONCURRENTLY in the session
    # with the lock would wait for: a deadlock.
    key = zlib.crc32(f"nexus-migrate:{schema}".encode())
    async with asyncio.timeout(_LOCK_SECONDS):
        while not await connection.fetchval("select pg_try_advisory_lock($1)", key):
            await asyncio.sleep(0.2)


async def _missing(
    connection: asyncpg.Connection[asyncpg.Record], schema: str, migrations: list[Migration]
) -> list[Migration]:
    applied = {
        row["version"]: row["checksum"] for row in await connection.fetch("select * from schema_migrations")
    }
    if newer := sorted(set(applied) - {m.version for m in migrations}):
        raise MigrationFailed(f"{schema}: the database is newer than this build (it has {newer})")
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationFailed(
                f"{schema}/{migration.name} was changed after it had been applied; add a new file instead"
            )
    return [m for m in migrations if m.version not in applied]


async def _apply(connection: asyncpg.Connection[asyncpg.Record], schema: str, migration: Migration) -> bool:
    started = time.perf_counter()
    try:
        if migration.is_transactional:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await _record(connection, migration, started)
        else:
            await connection.execute(migration.sql)
            await _record(connection, migration, started)
    except asyncpg.PostgresError as error:
        position = getattr(error, "position", None)
        line = migration.sql.count("\n", 0, int(position)) + 1 if position else "?"
        raise MigrationFailed(f"{schema}/{migration.name}, line {line}: {error}") from error
    return True


async def _record(
    connection: asyncpg.Connection[asyncpg.Record], migration: Migration, started: float
) -> None:
    await connection.execute(
        "insert into schema_migrations (version, name, checksum, duration_ms) values ($1, $2, $3, $4)",
        migration.version,
        migration.name,
        migration.checksum,
        int((time.perf_counter() - started) * 1000),
    )

"""A service's two ways into its schema.

`worker`: the pipeline's role, which carries `tenant_id` in every key and sees all tenants. `api`: the role behind
tenant-facing requests, which sees only rows of the tenant set inside the transaction; unset means no rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from nexus_shared.ids import TenantId
from nexus_shared.messaging.connection import backoff

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

ACQUIRE_SECONDS = 5.0


class Database:
    """Pools of one service. `open()` waits for PostgreSQL; services start in no order."""

    def __init__(
        self, worker_url: str, api_url: str, *, service: str, worker_size: int = 8, api_size: int = 4
    ) -> None:
        self._urls = (worker_url, api_url)
        self._sizes = (worker_size, api_size)
        self._service = service
        self._pools: list[asyncpg.Pool[asyncpg.Record]] = []

    async def open(self) -> None:
        """Raises only what no waiting can mend (a wrong password, a missing database)."""
        waits = backoff()
        for url, size in zip(self._urls, self._sizes, strict=True):
            while True:
                try:
                    self._pools.append(await self._create(url, size, is_worker=not self._pools))
                    break
                except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
                    await asyncio.sleep(next(waits))

    async def _create(self, url: str, size: int, *, is_worker: bool) -> asyncpg.Pool[asyncpg.Record]:
        settings = {"application_name": f"nexus-{self._service}", "jit": "off"}
        if (
            is_worker
        ):  # few statements over many partitions: planning them anew would cost more than running them
            settings["plan_cache_mode"] = "force_generic_plan"
        pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(
            url,
            min_size=size if is_worker else 0,  # opening a connection in mid-traffic is felt
            max_size=size,
            timeout=ACQUIRE_SECONDS,
            command_timeout=60,
            max_inactive_connection_lifetime=0 if is_worker else 300,
            reset=_nothing_to_reset,
            init=_learn_types,
            server_settings=settings,
        )
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            await connection.fetchval("select 1")
        return pool

    async def close(self) -> None:
        for pool in self._pools:
            try:
                await asyncio.wait_for(pool.close(), 5)
            except TimeoutError:
                pool.terminate()
        self._pools.clear()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A worker connection in autocommit, for statements that are one transaction each."""
        async with self._pools[0].acquire(timeout=ACQUIRE_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A worker transaction across tenants."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def tenant(self, tenant_id: TenantId) -> AsyncIterator[Connection]:
        """A transaction that sees this tenant's rows and no others, whatever its statements say."""
        async with self._pools[1].acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
            await connection.execute("select set_config('app.tenant', $1, true)", tenant_id)
            yield connection

    async def is_up(self) -> bool:
        async with asyncio.timeout(1), self.connection() as connection:
            return bool(await connection.fetchval("select true"))


async def _nothing_to_reset(connection: object) -> None:
    """Only `set local` is ever used, so a released connection is clean; a reset would cost a round trip."""


async def _learn_types(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """asyncpg asks the server about array types when it first meets them: better now than within somebody's request."""
    await connection.fetchval(
        "select $1::text[] is null or $2::bigint[] is null or $3::int[] is null or $4::smallint[] is null"
        " or $5::uuid[] is null or $6::bytea[] is null or $7::timestamptz[] is null or $8::boolean[] is null",
        *([[]] * 8),
    )

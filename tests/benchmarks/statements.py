"""Which SQL costs what, planning and execution apart, by the extension pg_stat_statements."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg
from rich.table import Table

from nexus_shared.testing.servers import PrivateServers

Admin: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SHOWN = 20
CHARACTERS = 110
_TOP = """
    select calls, total_plan_time / calls as plan_ms, mean_exec_time as exec_ms, rows,
           total_plan_time + total_exec_time as total_ms, regexp_replace(query, '\\s+', ' ', 'g') as query
      from pg_stat_statements where toplevel and calls > 0 order by total_ms desc limit $1
"""


async def load(private: PrivateServers) -> None:
    """From now on PostgreSQL counts; it has to start anew for that."""
    admin = await asyncpg.connect(private.urls.database)
    await admin.execute("alter system set shared_preload_libraries = 'pg_stat_statements'")
    await admin.execute("alter system set pg_stat_statements.track_planning = on")
    await admin.close()
    private.stop_postgres()
    private.start_postgres()


async def reset(admin: Admin) -> None:
    await admin.execute("create extension if not exists pg_stat_statements schema public")
    await admin.execute("select public.pg_stat_statements_reset()")


async def top(admin: Admin, name: str) -> Table:
    """The dearest statements since `reset`, of all databases; times in ms, per call."""
    await admin.execute("set search_path to public")
    rows = await admin.fetch(_TOP, SHOWN)
    table = Table(title=f"SQL of {name}", title_justify="left")
    for heading in ("total ms", "calls", "plan ms", "exec ms", "rows"):
        table.add_column(heading, justify="right")
    table.add_column("statement", overflow="fold")
    for row in rows:
        numbers = (row["total_ms"], row["calls"], row["plan_ms"], row["exec_ms"], row["rows"])
        shown = [f"{number:,.2f}" if isinstance(number, float) else f"{number:,}" for number in numbers]
        table.add_row(*shown, row["query"][:CHARACTERS])
    return table

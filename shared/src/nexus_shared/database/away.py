"""Telling "PostgreSQL is away" from "this statement is wrong"."""

from __future__ import annotations

import asyncpg

from nexus_shared.errors import StoreAway

# connection, transaction rollback (serialization, deadlock), resources, operator intervention, system errors
_PASSING = ("08", "40", "53", "55", "57", "58")


def is_away(error: BaseException) -> bool:
    """True for errors that pass by themselves: the same statement may succeed later."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_PASSING)
    return isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | StoreAway)

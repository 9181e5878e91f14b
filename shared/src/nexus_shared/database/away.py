"""Telling "PostgreSQL is away" from "this statement is wrong"."""

from __future__ import annotations

import asyncpg

from nexus_shared.errors import StoreAway

# Connections, rollbacks (serialization, deadlock), resources, objects in use, operators, system errors; a standby that
# is not promoted yet (25006). And what an operator mends while no message is to blame: logins (28), the database (3D),
# rights (42501), functions and tables of a migration that is still to come.
_PASSING = ("08", "40", "53", "55", "57", "58", "25006", "28", "3D", "42501", "42883", "42P01")


def is_away(error: BaseException) -> bool:
    """True for errors that pass by themselves: the same statement may succeed later."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_PASSING)
    if isinstance(
        error, asyncpg.InterfaceError
    ):  # a lost connection; but a value that no column takes never fits
        return not isinstance(error, ValueError)
    return isinstance(error, OSError | TimeoutError | StoreAway)

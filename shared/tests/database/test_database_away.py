from typing import Any

import asyncpg
import pytest

from nexus_shared.database import is_away
from nexus_shared.errors import NexusError, Reject, StoreAway


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.SerializationError("again"),
        asyncpg.TooManyConnectionsError("full"),
        asyncpg.DiskFullError("full"),
        asyncpg.LockNotAvailableError("busy"),
        asyncpg.AdminShutdownError("stop"),
        asyncpg.CannotConnectNowError("starting"),
        asyncpg.QueryCanceledError("too slow"),
        asyncpg.ReadOnlySQLTransactionError("a standby"),
        asyncpg.InvalidPasswordError("rotated"),
        asyncpg.InsufficientPrivilegeError("a grant is missing"),
        asyncpg.UndefinedFunctionError("a migration is missing"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionRefusedError(),
        TimeoutError(),
        StoreAway(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_passes_by_itself_is_waited_for(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("twice"),
        asyncpg.CheckViolationError("no"),
        asyncpg.NotNullViolationError("null"),
        asyncpg.CharacterNotInRepertoireError("NUL"),
        asyncpg.NumericValueOutOfRangeError("big"),
        asyncpg.ProgramLimitExceededError("index row too large"),
        asyncpg.RaiseError("no"),
        asyncpg.PostgresError("unknown"),
        ValueError(),
        KeyError(),
        Reject("no"),
        NexusError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_will_never_fit_is_not_waited_for(error: Exception) -> None:
    assert not is_away(error)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("kind", "value"), [("bigint", 10**30), ("bigint", "7"), ("text", "\ud800"), ("text", "\x00")]
)
async def test_a_value_that_no_column_takes_is_not_waited_for(
    kind: str, value: Any, postgres_admin_url: str
) -> None:
    connection = await asyncpg.connect(postgres_admin_url)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, UnicodeError)) as refused:
        await connection.fetchval(f"select $1::{kind}", value)
    await connection.close()
    assert not is_away(refused.value)

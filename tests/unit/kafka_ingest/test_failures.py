"""What a failed transaction means for its batch."""

import asyncpg
import pytest

from kafka_ingest.writer import Failure, failure_of


def of_constraint(name: str | None) -> asyncpg.CheckViolationError:
    """A row breaks a constraint; that of a partition has no name."""
    error = asyncpg.CheckViolationError()
    error.constraint_name = name
    return error


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (ConnectionRefusedError(), Failure.AWAY),
        (TimeoutError(), Failure.AWAY),
        (asyncpg.ConnectionDoesNotExistError(), Failure.AWAY),
        (asyncpg.InterfaceError("connection is closed"), Failure.AWAY),
        (asyncpg.AdminShutdownError(), Failure.AWAY),
        (asyncpg.CannotConnectNowError(), Failure.AWAY),
        (asyncpg.TooManyConnectionsError(), Failure.AWAY),
        (asyncpg.DeadlockDetectedError(), Failure.RACE),
        (asyncpg.SerializationError(), Failure.RACE),
        (asyncpg.UniqueViolationError(), Failure.RACE),
        (asyncpg.NumericValueOutOfRangeError(), Failure.RECORD),
        (asyncpg.CharacterNotInRepertoireError(), Failure.RECORD),
        (of_constraint("orders_currency_check"), Failure.RECORD),
        (of_constraint(None), Failure.RACE),
        (asyncpg.ProgramLimitExceededError(), Failure.RECORD),
        (asyncpg.exceptions._base.DataError("invalid input"), Failure.RECORD),
        (KeyError("a fault of ours that this record brings out"), Failure.RECORD),
        (OverflowError(), Failure.RECORD),
        (asyncpg.QueryCanceledError(), Failure.SLOW),
        (asyncpg.IdleInTransactionSessionTimeoutError(), Failure.SLOW),
        (asyncpg.LockNotAvailableError(), Failure.RACE),
        (asyncpg.UndefinedTableError(), Failure.STANDING),
        (asyncpg.InsufficientPrivilegeError(), Failure.STANDING),
        (asyncpg.ReadOnlySQLTransactionError(), Failure.STANDING),
    ],
    ids=lambda value: value.name if isinstance(value, Failure) else type(value).__name__,
)
def test_each_error_means_one_thing(error: Exception, meaning: Failure) -> None:
    assert failure_of(error) is meaning

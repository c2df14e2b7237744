"""Which errors of the database mean that it is away, and which that we asked wrongly."""

import asyncpg
import pytest

from giftcert.storage.database import DATABASE_ERRORS, is_database_away

AWAY = [
    ConnectionRefusedError(),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_a_server_that_has_gone_is_away_however_it_is_told(error: Exception) -> None:
    assert isinstance(error, DATABASE_ERRORS)
    assert is_database_away(error)


def test_a_mistake_of_ours_is_no_outage() -> None:
    error = asyncpg.UndefinedColumnError("column reserved_by does not exist")
    assert not is_database_away(error)

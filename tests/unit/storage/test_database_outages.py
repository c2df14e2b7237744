"""Which errors of the database mean that it is away, and which that we asked wrongly."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from giftcert.storage.outages import DATABASE_ERRORS, is_database_away

AWAY = [
    ConnectionRefusedError(),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
]


def as_sqlalchemy_wraps(error: Exception) -> DBAPIError:
    translated = Exception(str(error))
    translated.__cause__ = error
    return DBAPIError("SELECT 1", None, translated)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_a_server_that_has_gone_is_away_however_it_is_told(error: Exception) -> None:
    assert isinstance(error, DATABASE_ERRORS)
    assert is_database_away(error)
    assert is_database_away(as_sqlalchemy_wraps(error))


def test_a_mistake_of_ours_is_no_outage() -> None:
    error = asyncpg.UndefinedColumnError("column reserved_by does not exist")
    assert not is_database_away(as_sqlalchemy_wraps(error))

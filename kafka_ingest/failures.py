"""What a failed transaction means for its batch."""

from enum import Enum

import asyncpg
from sqlalchemy.exc import DBAPIError

from giftcert.storage.outages import DATABASE_ERRORS, is_database_away

# SQLSTATE classes: 22 bad data, 23 a constraint, 54 too large for the database.
_RECORD_CLASSES = ("22", "23", "54")
_RACES = ("40", "55P03", "23505")
"""Serialisation failure, deadlock, lock not available; a unique key that another transaction took meanwhile."""


class Failure(Enum):
    """Why a batch could not be committed."""

    AWAY = "away"
    RACE = "race"
    RECORD = "record"
    STANDING = "standing"


def failure_of(error: Exception) -> Failure:
    """Return whether to wait, to try again, to look for the record that is to blame, or to wait for a person."""
    error = _original(error)
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state.startswith(_RACES):
            return Failure.RACE
        if state.startswith(_RECORD_CLASSES):
            return Failure.RECORD
        return Failure.AWAY if is_database_away(error) else Failure.STANDING
    if isinstance(error, ValueError):  # asyncpg's refusal to encode a value is one, and an InterfaceError too
        return Failure.RECORD
    if isinstance(error, DATABASE_ERRORS):
        return Failure.AWAY if is_database_away(error) else Failure.STANDING
    return Failure.RECORD


def _original(error: Exception) -> Exception:
    """Return the driver's error beneath SQLAlchemy's."""
    if isinstance(error, DBAPIError) and not error.connection_invalidated:
        beneath = error.orig.__cause__ if error.orig else None
        return beneath if isinstance(beneath, Exception) else error
    return error

"""How the absence of PostgreSQL shows itself through asyncpg."""

import asyncpg

DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
)
"""All that a repository's statement may raise; ``is_database_away`` tells which mean an outage."""

# 08: connection lost; 53: no room; 57: shutting down, not up yet, or a statement's time is over; 55P03: a lock's.
_AWAY_STATES = ("08", "53", "57", "55P03")


def is_database_away(error: BaseException) -> bool:
    """Return whether an error means that the database cannot serve us now, rather than that we asked wrongly."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_AWAY_STATES)
    # InternalClientError: the server ended the connection in the moment in which we began to use it.
    return isinstance(error, (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError))

"""What the service needs of PostgreSQL: version, roles, the newest tables with all that belongs to them, the clock."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from giftcert.clock import Clock, utc_now
from giftcert.health import POSTGRESQL
from giftcert.requirements.finding import Finding, Maker
from giftcert.storage.database import Connection
from giftcert.storage.schema_objects import (
    READING_ROLE,
    SERVICE_ROLE,
    actual_objects,
    actual_revision,
    expected_objects,
    known_revisions,
)

LEAST_VERSION = 18
CLOCK_SKEW = timedelta(seconds=1)
"""Between the clock of a process and that of PostgreSQL."""
_NEEDED_TO_WORK = ("table", "column", "sequence", "function", "right")
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY($1)"


async def check_database_objects(connection: Connection, clock: Clock = utc_now) -> list[Finding]:
    """Compare a database with what this build needs; raises ``DATABASE_ERRORS``."""
    found = [*await _server(connection), *await _roles(connection), *await _clock(connection, clock)]
    revision, known = await actual_revision(connection), known_revisions()
    if revision is None:
        return [*found, Finding(POSTGRESQL, "the tables", "are missing", Maker.MIGRATE, stops=True)]
    if revision in known[:-1]:
        wrong = f"are at revision {revision}, and this build needs {known[-1]}"
        return [*found, Finding(POSTGRESQL, "the tables", wrong, Maker.MIGRATE, stops=True)]
    actual = await actual_objects(connection)
    return [*found, *_objects(actual, is_newer=revision not in known)]


def _objects(actual: dict[str, str], *, is_newer: bool) -> Iterator[Finding]:
    """Yield what differs. Of a database that a newer build has migrated only what this one cannot be without."""
    for name, definition in expected_objects().items():
        kind = name.partition(" ")[0]
        stops = kind in _NEEDED_TO_WORK
        if is_newer and not stops:
            continue
        if name not in actual:
            again = f"; it was {definition}" if kind in {"index", "constraint"} else ""
            yield Finding(POSTGRESQL, name, f"is missing or not valid{again}", Maker.DATABASE, stops=stops)
        elif not is_newer and actual[name] != definition:
            wrong = f"is {actual[name] or 'nothing'} instead of {definition}"
            lacks = not set(definition.split(", ")) <= set(actual[name].split(", "))
            yield Finding(POSTGRESQL, name, wrong, Maker.DATABASE, stops=kind == "right" and lacks)


async def _server(connection: Connection) -> list[Finding]:
    version = connection.get_server_version().major
    if version >= LEAST_VERSION:
        return []
    wrong = f"is version {version}, and {LEAST_VERSION} is needed"
    return [Finding(POSTGRESQL, "the server", wrong, Maker.DATABASE, stops=True)]


async def _roles(connection: Connection) -> list[Finding]:
    known = {row[0] for row in await connection.fetch(_ROLES, [SERVICE_ROLE, READING_ROLE])}
    return [
        Finding(POSTGRESQL, f"role {role}", "is missing", Maker.DATABASE, stops=role == SERVICE_ROLE)
        for role in (SERVICE_ROLE, READING_ROLE)
        if role not in known
    ]


async def _clock(connection: Connection, clock: Clock) -> list[Finding]:
    before = clock()
    there: datetime = await connection.fetchval("SELECT clock_timestamp()")
    skew = max(before - there, there - clock(), timedelta())
    if skew <= CLOCK_SKEW:
        return []
    wrong = f"differs from this machine's by {skew.total_seconds():.1f} s; {CLOCK_SKEW.seconds} s is borne"
    return [Finding(POSTGRESQL, "the clock", wrong, Maker.MACHINES)]

"""What repositories share: statements of asyncpg within the caller's transaction, and several in one round trip."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from asyncpg import Record

from giftcert.storage.database import Connection

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")


class Repository:
    """The statements about one resource on a connection; the caller owns the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _fetch(self, statement: str, *values: object) -> list[Record]:
        return await self._connection.fetch(statement, *values)

    async def _fetchrow(self, statement: str, *values: object) -> Record | None:
        return await self._connection.fetchrow(statement, *values)

    async def _fetchval(self, statement: str, *values: object) -> Any:  # noqa: ANN401 - of whatever type
        return await self._connection.fetchval(statement, *values)

    async def _execute(self, statement: str, *values: object) -> int:
        """Return how many rows were written, from the server's ``UPDATE 3``."""
        done = await self._connection.execute(statement, *values)
        return int(done.rpartition(" ")[2])


def as_json(value: object) -> str:
    """Return a value as a parameter of type ``jsonb``."""
    return msgspec.json.encode(value).decode()


def of_row(kind: type[D], row: Record, **more: object) -> D:
    """Return the dataclass whose fields, but for ``more``, are columns of a row under the same names."""
    return kind(**{name: row[name] for name in kind.__dataclass_fields__ if name not in more}, **more)


def by_column(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    """Return rows, at least one, as the arrays that ``unnest`` puts together again."""
    return [list(column) for column in zip(*rows, strict=True)]


@dataclass(frozen=True, slots=True)
class Write:
    """A data-modifying statement with ``{}`` wherever the next of its values stands.

    The parts of one statement see what was there before it, and nobody's parts wait for each other in any order: the
    rows that others may want must be locked before.
    """

    statement: str
    values: Sequence[Any]


async def write_together(connection: Connection, *writes: Write) -> None:
    """Carry out writes, all of them or, if one fails, none."""
    values: list[Any] = []
    parts = []
    for nth, write in enumerate(writes):
        first = len(values) + 1
        values += write.values
        places = [f"${place}" for place in range(first, len(values) + 1)]
        parts.append(f"part_{nth} AS ({write.statement.format(*places)})")
    await connection.execute(f"WITH {', '.join(parts)} SELECT", *values)

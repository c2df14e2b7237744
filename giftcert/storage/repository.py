"""What repositories share: statements of asyncpg within the caller's transaction."""

from collections.abc import Iterable
from typing import Any

from asyncpg import Record

from giftcert.storage.engine import AnyConnection, driver_of


class Repository:
    """The statements about one resource on a connection; the caller owns the transaction."""

    def __init__(self, connection: AnyConnection) -> None:
        self._connection = connection

    async def _fetch(self, statement: str, *values: object) -> list[Record]:
        return await (await driver_of(self._connection)).fetch(statement, *values)

    async def _fetchrow(self, statement: str, *values: object) -> Record | None:
        return await (await driver_of(self._connection)).fetchrow(statement, *values)

    async def _fetchval(self, statement: str, *values: object) -> Any:  # noqa: ANN401 - of whatever type
        return await (await driver_of(self._connection)).fetchval(statement, *values)

    async def _execute(self, statement: str, *values: object) -> int:
        """Return how many rows were written, as the server tells it: ``UPDATE 3``."""
        done = await (await driver_of(self._connection)).execute(statement, *values)
        return int(done.rpartition(" ")[2])


def by_column(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    """Return rows, at least one, as the arrays that ``unnest`` puts together again."""
    return [list(column) for column in zip(*rows, strict=True)]

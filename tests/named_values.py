"""Statements with named values (``:name``), and their rows with JSON decoded."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from giftcert.storage.database import Connection, Database
from tests.shared_servers import owning

_NAME = re.compile(r"(?<!:):([a-z]\w*)")


def numbered(statement: str, values: Mapping[str, object]) -> list[object]:
    """The statement with asyncpg's numbers, and its values in their order."""
    names = list(dict.fromkeys(_NAME.findall(statement)))
    as_numbers = _NAME.sub(lambda name: f"${names.index(name[1]) + 1}", statement)
    return [as_numbers, *(values[name] for name in names)]


async def query(connection: Connection, statement: str, **values: object) -> list[dict[str, Any]]:
    as_numbers, *arguments = numbered(statement, values)
    prepared = await connection.prepare(str(as_numbers))
    are_json = {one.name for one in prepared.get_attributes() or () if one.type.name in {"json", "jsonb"}}
    return [
        {
            name: msgspec.json.decode(value) if name in are_json and value else value
            for name, value in row.items()
        }
        for row in await prepared.fetch(*arguments)
    ]


class Statements:
    """Runs statements for a class that has a database."""

    database: Database

    async def run(self, statement: str, **values: Any) -> None:
        async with self.database.transaction() as connection:
            await query(connection, statement, **values)

    async def run_as_owner(self, statement: str, **values: Any) -> None:
        """Do what the service has no right to."""
        async with owning(self.database) as connection:
            await query(connection, statement, **values)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return await query(connection, statement, **values)

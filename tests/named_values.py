"""Statements with named values (``:name``), and their rows with JSON decoded."""

import re
from typing import Any

import msgspec

from giftcert.storage.database import Connection

_NAME = re.compile(r"(?<!:):([a-z]\w*)")


async def query(connection: Connection, statement: str, **values: object) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(_NAME.findall(statement)))
    numbered = _NAME.sub(lambda name: f"${names.index(name[1]) + 1}", statement)
    prepared = await connection.prepare(numbered)
    are_json = {one.name for one in prepared.get_attributes() or () if one.type.name in {"json", "jsonb"}}
    return [
        {
            name: msgspec.json.decode(value) if name in are_json and value else value
            for name, value in row.items()
        }
        for row in await prepared.fetch(*(values[name] for name in names))
    ]

"""``python -m specs.generator.schema_objects``: writes what the migrations make, from a database made of nothing."""

import asyncio
import tempfile
from pathlib import Path

import asyncpg

from giftcert.embedded.stack import EmbeddedStack
from giftcert.settings import Settings
from giftcert.storage.migrate import migrate
from giftcert.storage.schema_objects import FILE, actual_objects, as_text


async def main() -> None:
    """Start an embedded PostgreSQL in a folder of its own, migrate it, and write the file."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, state_dir=Path(folder), postgres_port=0)
        async with EmbeddedStack(settings, parts={"postgres"}, durable=False) as addresses:
            url = str(addresses.database_owner_url)
            await asyncio.to_thread(migrate, url)
            connection = await asyncpg.connect(url)
            FILE.write_text(as_text(await actual_objects(connection)), encoding="utf-8")
            await connection.close()


if __name__ == "__main__":
    asyncio.run(main())

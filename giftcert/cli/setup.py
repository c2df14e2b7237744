"""``giftcert setup``: products, topics, namespace, search attributes, schedules."""

import asyncio
from typing import TYPE_CHECKING

from giftcert.cli.event_loop import run_to_end
from giftcert.cli.output import AsJson, say

if TYPE_CHECKING:
    from giftcert.settings import Settings


def setup_command(as_json: AsJson = False) -> None:
    """Make topics, namespace, search attributes, schedules and products; may be repeated."""
    from giftcert.embedded.addresses import with_running_stack
    from giftcert.embedded.external import check_external
    from giftcert.settings import load_settings

    async def work() -> None:
        settings = with_running_stack(load_settings())
        await check_external(settings)  # clients of Kafka take long to give up
        done = await setup(settings)
        say({"done": done}, "\n".join(done) or "everything was there already", as_json=as_json)

    run_to_end(work)


def prepare() -> None:
    """Migrate, check the keyring, set up, fill an empty pool: what `giftcert up` does before it opens the services."""
    from giftcert.cli import pool_contents
    from giftcert.cli.keyring_check import check_keyring_of
    from giftcert.cli.server_errors import reaching_database
    from giftcert.embedded.addresses import running_addresses, with_database, with_running_stack
    from giftcert.settings import load_settings
    from giftcert.storage.migrate import migrate as upgrade

    async def work() -> None:
        settings, url = with_database(with_running_stack(load_settings()))
        with reaching_database(url):
            await asyncio.to_thread(upgrade, url)
        await check_keyring_of(settings)
        done = await setup(settings)
        if url == running_addresses(settings).database_url:
            done += await pool_contents.fill_empty_pool(settings)
        summary = "tables, topics, namespace, schedules and products are in place"
        say({}, "\n".join([*done, summary]), as_json=False)

    run_to_end(work)


async def setup(settings: "Settings") -> list[str]:
    """Make what is missing in Kafka, Temporal and PostgreSQL; needs the tables.

    Returns:
        What was done, a line each.

    Raises:
        CommandError: a server cannot be used; the message names its setting.
    """
    topics, temporal, products = await asyncio.gather(
        asyncio.to_thread(_topics, settings), _temporal(settings), _products(settings)
    )
    return [*topics, *temporal, *products]


def _topics(settings: "Settings") -> list[str]:
    from giftcert.cli.server_errors import reaching_kafka
    from giftcert.cli.topics import ensure_topics
    from giftcert.embedded.addresses import running_addresses

    running = running_addresses(settings)
    embedded = settings.kafka_bootstrap_servers == running.kafka_bootstrap_servers
    with reaching_kafka(settings.kafka_bootstrap_servers):
        return ensure_topics(settings, inputs_too=embedded, in_memory=embedded and running.kafka_in_memory)


async def _temporal(settings: "Settings") -> list[str]:
    from giftcert.cli.namespace import ensure_namespace
    from giftcert.cli.server_errors import reaching_temporal
    from giftcert.temporal.client import connect
    from giftcert.temporal.schedules import ensure_schedules

    with reaching_temporal(settings.temporal_address):
        client = await connect(settings)
        done = await ensure_namespace(client)
        await ensure_schedules(client, settings)
    return done


async def _products(settings: "Settings") -> list[str]:
    from giftcert.cli.server_errors import reaching_database
    from giftcert.embedded.addresses import with_database
    from giftcert.product_file import read_products
    from giftcert.storage.engine import make_engine
    from giftcert.storage.products import ProductRepository

    lines = read_products(settings)
    engine = make_engine(settings, "giftcert-setup")
    with reaching_database(with_database(settings)[1]):
        try:
            async with engine.begin() as connection:
                repository = ProductRepository(connection)
                known = await repository.all()
                await repository.put(line.product() for line in lines)
        finally:
            await engine.dispose()
    return [f"product {line.id} added" for line in lines if line.id not in known]

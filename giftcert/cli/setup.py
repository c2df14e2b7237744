"""``giftcert migrate`` and ``giftcert setup``: tables, products, topics, namespace, search attributes, schedules."""

import asyncio

import typer

from giftcert.cli.connections import (
    connected,
    database_settings,
    database_url,
    reaching_database,
    reaching_kafka,
    reaching_temporal,
)
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.namespace import ensure_namespace
from giftcert.cli.output import AsJson, say
from giftcert.cli.pool_contents import fill_empty_pool
from giftcert.cli.services import check_keyring
from giftcert.cli.topics import ensure_topics
from giftcert.embedded.addresses import check_external, running_addresses, with_running_stack
from giftcert.product_file import read_products
from giftcert.settings import Settings, load_settings
from giftcert.storage.migrate import migrate as upgrade
from giftcert.storage.products import ProductRepository
from giftcert.temporal.client import connect
from giftcert.temporal.schedules import ensure_schedules

app = typer.Typer()


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the tables to the newest revision; may be repeated."""
    _migrate(database_settings())
    say({"migrated": True}, "the tables are at the newest revision", as_json=as_json)


@app.command()
@to_its_end
async def setup(as_json: AsJson = False) -> None:
    """Make topics, namespace, search attributes, schedules and products; may be repeated."""
    settings = with_running_stack(load_settings())
    await check_external(settings)  # clients of Kafka take long to give up
    done = await _make_missing(settings)
    say({"done": done}, "\n".join(done) or "everything was there already", as_json=as_json)


@app.command(hidden=True)
@to_its_end
async def prepare() -> None:
    """Migrate, check the keyring, set up, fill an empty pool: what `giftcert up` does before it opens the services."""
    settings = with_running_stack(load_settings())
    await asyncio.to_thread(_migrate, settings)
    await check_keyring(settings)
    done = await _make_missing(settings)
    if database_url(settings) == running_addresses(settings).database_url:
        done += await fill_empty_pool(settings)
    for line in (*done, "tables, topics, namespace, schedules and products are in place"):
        typer.echo(line)


def _migrate(settings: Settings) -> None:
    url = database_url(settings)
    with reaching_database(url):
        upgrade(url)


async def _make_missing(settings: Settings) -> list[str]:
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


def _topics(settings: Settings) -> list[str]:
    running = running_addresses(settings)
    embedded = settings.kafka_bootstrap_servers == running.kafka_bootstrap_servers
    with reaching_kafka(settings):
        return ensure_topics(settings, inputs_too=embedded, in_memory=embedded and running.kafka_in_memory)


async def _temporal(settings: Settings) -> list[str]:
    with reaching_temporal(settings):
        client = await connect(settings)
        done = await ensure_namespace(client)
        await ensure_schedules(client, settings)
    return done


async def _products(settings: Settings) -> list[str]:
    lines = read_products(settings)
    async with connected(settings, "setup") as database, database.transaction() as connection:
        repository = ProductRepository(connection)
        known = await repository.all()
        await repository.put(line.product() for line in lines)
    return [f"product {line.id} added" for line in lines if line.id not in known]

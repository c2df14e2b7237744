"""``giftcert migrate`` and ``giftcert setup``: tables, products, topics, namespace, search attributes, schedules."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Any

import typer
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it exports them without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from giftcert.build import build_id
from giftcert.cli.connections import (
    check_database,
    check_kafka,
    check_temporal,
    connected,
    database_settings,
    reaching_database_as_owner,
    reaching_kafka,
    reaching_temporal,
)
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.output import AsJson, say, table
from giftcert.cli.pool import fill_empty_pool
from giftcert.cli.services import check_keyring
from giftcert.contracts.payload import payload_of
from giftcert.embedded.addresses import check_external, running_addresses, with_running_stack
from giftcert.health import POSTGRESQL
from giftcert.kafka_connection import librdkafka_options
from giftcert.product_file import read_products
from giftcert.requirements.database import check_database_objects
from giftcert.requirements.finding import Finding, Maker
from giftcert.requirements.temporal import check_temporal_objects
from giftcert.requirements.topics import STREAM_CONFIGURATION, find_topics, input_topics, stream_topic
from giftcert.settings import Settings, load_settings
from giftcert.storage.migrate import migrate as upgrade
from giftcert.storage.products import ProductRepository
from giftcert.temporal.client import connect
from giftcert.temporal.deployment import make_current
from giftcert.temporal.namespace import ensure_namespace
from giftcert.temporal.schedules import ensure_schedules
from giftcert.verification.stream import stream_deviations

app = typer.Typer()
_ANSWER_SECONDS = 10


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the tables to the newest revision, as their owner; may be repeated."""
    _migrate(database_settings())
    say({"migrated": True}, "the tables are at the newest revision", as_json=as_json)


@app.command()
@to_its_end
async def setup(
    check: Annotated[
        bool,
        typer.Option("--check", help="Make nothing: name all that is needed and not there, and whose it is"),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Make topics, namespace, search attributes, schedules and products; may be repeated.

    With --check it makes nothing, and exits with 1 where something is not as it is needed.
    """
    settings = with_running_stack(load_settings())
    await check_external(settings)  # clients of Kafka take long to give up
    if check:
        await asyncio.gather(check_database(settings), check_temporal(settings), check_kafka(settings))
        found = await findings(settings)
        say(_as_data(found), _as_table(found), as_json=as_json)
        return 1 if found else 0
    done = await _make_missing(settings, lambda line: typer.echo(line, err=as_json))
    found = await findings(settings)
    text = f"{_as_table(found)}\n\nsetup has done its part" if found else "everything is in place"
    say({"done": done, **_as_data(found)}, text, as_json=as_json)
    return 0


def _as_data(found: Sequence[Finding]) -> dict[str, Any]:
    return {"missing": [payload_of(one) for one in found]}


def _as_table(found: Sequence[Finding]) -> str:
    """Return what is wrong, by whose it is."""
    if not found:
        return "everything that is needed is in place"
    rows = sorted((one.maker.value, one.subject, one.wrong) for one in found)
    return table(("whose", "what", "is wrong"), rows)


@app.command(hidden=True)
@to_its_end
async def prepare() -> None:
    """Migrate, check the keyring, set up, fill an empty pool: what `giftcert up` does before it opens the services.

    The code here leads, also where another has led before: no other worker will come.
    """
    settings = with_running_stack(load_settings())
    await asyncio.to_thread(_migrate, settings)
    await check_keyring(settings)
    done = await _make_missing(settings, lambda _line: None)
    if settings.database_address == running_addresses(settings).database_url:
        done += await fill_empty_pool(settings)
    if running_addresses(settings).temporal_embedded:
        await make_current(await connect(settings), build_id(), before_workers=True)
    for line in (*done, "tables, topics, namespace, schedules and products are in place"):
        typer.echo(line)


def _migrate(settings: Settings) -> None:
    with reaching_database_as_owner(settings):
        upgrade(settings.database_owner_address)


async def findings(settings: Settings) -> list[Finding]:
    """Compare all that the service needs of its servers, which answer."""
    topics = [*input_topics(settings), stream_topic(settings)]
    with reaching_kafka(settings), reaching_temporal(settings):
        in_kafka, in_temporal, in_database = await asyncio.gather(
            find_topics(settings, topics),
            check_temporal_objects(await connect(settings), settings),
            _of_database(settings),
        )
    return [*in_database, *in_kafka, *in_temporal]


async def _of_database(settings: Settings) -> list[Finding]:
    async with connected(settings, "setup") as database, database.connection() as connection:
        found = await check_database_objects(connection)
        if any(one.stops for one in found):
            return found
        known = await ProductRepository(connection).all()
    return found + [
        Finding(POSTGRESQL, f"product {line.id}", "is missing", Maker.SETUP)
        for line in read_products(settings)
        if line.id not in known
    ]


async def _make_missing(settings: Settings, report: Callable[[str], None]) -> list[str]:
    """Make what is missing in Kafka, Temporal and PostgreSQL, which needs its tables; return what was done.

    ``report`` hears of it as it is done.
    """
    await asyncio.gather(check_database(settings), check_temporal(settings), check_kafka(settings))
    report("PostgreSQL, Temporal and Kafka answer")

    async def made_in(server: str, made: Awaitable[list[str]]) -> list[str]:
        done = await made
        for line in done or ["nothing was left to make"]:
            report(f"{server}: {line}")
        return done

    topics, temporal, products = await asyncio.gather(
        made_in("Kafka", asyncio.to_thread(_topics, settings)),
        made_in("Temporal", _temporal(settings)),
        made_in("PostgreSQL", _products(settings)),
    )
    return [*topics, *temporal, *products]


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


def _topics(settings: Settings) -> list[str]:
    """Make the stream; in an embedded Kafka also the topics that Orders, Payments and CRM own elsewhere."""
    running = running_addresses(settings)
    embedded = settings.kafka_bootstrap_servers == running.kafka_bootstrap_servers
    inputs = [settings.topic_orders, settings.topic_payments, settings.topic_clients] if embedded else []
    wanted = [*inputs, settings.topic_stream]
    with reaching_kafka(settings):
        admin = AdminClient(librdkafka_options(settings))
        if not (embedded and running.kafka_in_memory):
            return _ensure_topics(admin, settings, wanted)
        for name in wanted:  # the in-memory broker makes topics when they are first named
            admin.list_topics(name, timeout=_ANSWER_SECONDS)
    return []


def _ensure_topics(admin: AdminClient, settings: Settings, wanted: Iterable[str]) -> list[str]:
    """Make the topics that are missing, and hold the stream to the configuration that it needs."""
    stream = settings.topic_stream
    known = admin.list_topics(timeout=_ANSWER_SECONDS).topics
    made = [name for name in wanted if name not in known and _make(admin, settings, name)]
    done = [f"topic {name} made" for name in made]
    deviations = {} if stream in made else stream_deviations(admin, stream)
    if deviations:
        entries = [
            ConfigEntry(name, STREAM_CONFIGURATION[name], incremental_operation=AlterConfigOpType.SET)
            for name in deviations
        ]
        resource = ConfigResource(ResourceType.TOPIC, stream, incremental_configs=entries)
        (altered,) = admin.incremental_alter_configs([resource], request_timeout=_ANSWER_SECONDS).values()
        altered.result()
        done.append(f"topic {stream} is kept for ever now")
    return done


def _make(admin: AdminClient, settings: Settings, name: str) -> bool:
    configuration = STREAM_CONFIGURATION if name == settings.topic_stream else {}
    topic = NewTopic(name, settings.topic_partitions, settings.topic_replication, config=configuration)
    try:
        (made,) = admin.create_topics([topic], request_timeout=_ANSWER_SECONDS).values()
        made.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:  # another setup was first
            return False
        raise
    return True

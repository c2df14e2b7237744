"""A dispatcher that crashes between any two steps: its successor tells the rest, in order, and nothing new twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from giftcert.dispatch import producer
from giftcert.dispatch.main import serve
from giftcert.dispatch.producer import StreamProducer
from giftcert.dispatch.publisher import ShardPublisher
from giftcert.settings import Settings
from giftcert.storage import outbox
from giftcert.storage.database import Database
from giftcert.storage.outbox import OutboxRepository
from tests.conftest import new_database
from tests.crashes import CrashError, Step, around_each, crash
from tests.integration.dispatch.conftest import make_certificates, new_topic
from tests.integration.dispatch.recorded import append, event_ids, reserved, until_none_waits
from tests.integration.dispatch.stream_reader import StreamReader, first_sequences

pytestmark = [pytest.mark.integration, pytest.mark.made_up_events]
EVENTS = 4


class Stream:
    """A database and a topic that all tests of this module share, each with certificates of its own."""

    def __init__(self, settings: Settings, database: Database, reader: StreamReader, ids: list[str]) -> None:
        self.settings, self.database, self.reader = settings, database, reader
        self._ids = ids

    async def recorded(self) -> set[str]:
        """Record events of two certificates; return which certificates."""
        keys = {self._ids.pop(), self._ids.pop()}
        for key in keys:
            await append(self.database, key, *(reserved(number) for number in range(1, EVENTS + 1)))
        return keys

    async def published(self, keys: set[str]) -> None:
        """Read until all is told, and see that it is told in order and told alike each time."""
        await until_none_waits(self.database)
        records = await self.reader.until(await event_ids(self.database))
        ours = [one for one in records if one.key in keys]
        assert first_sequences(ours) == {key: list(range(1, EVENTS + 1)) for key in keys}
        contents = {(one.event_id, one.raw, tuple(one.headers.items())) for one in ours}
        assert len(contents) == len({one.event_id for one in ours}) == EVENTS * len(keys)


@pytest.fixture(scope="module")
async def stream(postgres_url: str, kafka: str) -> AsyncIterator[Stream]:
    url, topic = await new_database(postgres_url), await new_topic(kafka)
    database = Database(url)
    settings = Settings(database_url=url, kafka_bootstrap_servers=kafka, topic_stream=topic, _env_file=None)
    async with StreamReader(kafka, topic) as reader:
        yield Stream(settings, database, reader, await make_certificates(database, 100))
    await database.close()


async def next_one_tells(stream: Stream, keys: set[str]) -> None:
    dispatcher = asyncio.create_task(serve(stream.settings))
    await stream.published(keys)
    dispatcher.cancel()
    await asyncio.gather(dispatcher, return_exceptions=True)


AROUND_EACH_STEP = around_each(
    (outbox, "look"),
    (outbox, "oldest_waiting"),
    (OutboxRepository, "_lock"),
    (OutboxRepository, "lock_window"),
    (StreamProducer, "_started"),
    (StreamProducer, "_send"),  # leaving it, all are acknowledged
    (OutboxRepository, "delete"),
    (ShardPublisher, "cycle"),  # leaving it, the deletions are committed
)


@AROUND_EACH_STEP
async def test_what_a_dead_dispatcher_left_is_told_by_its_successor(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    keys = await stream.recorded()
    crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await serve(stream.settings)
    await next_one_tells(stream, keys)


@around_each((AIOKafkaProducer, "send_batch"))
@pytest.mark.parametrize("nth", range(1, EVENTS + 1))
async def test_a_dispatcher_that_dies_in_the_middle_of_a_window(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str, nth: int
) -> None:
    monkeypatch.setattr(producer, "_BATCH_BYTES", 1)  # a batch for each event
    keys = await stream.recorded()
    crash(monkeypatch, step, moment, nth=nth)
    with pytest.raises(CrashError):
        await serve(stream.settings)
    await next_one_tells(stream, keys)


@AROUND_EACH_STEP
async def test_a_dispatcher_that_loses_a_connection_goes_on_by_itself(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    keys = await stream.recorded()
    happened = crash(monkeypatch, step, moment, error=ConnectionResetError)
    await next_one_tells(stream, keys)
    assert happened.is_set()

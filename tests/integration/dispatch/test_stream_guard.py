"""Database and stream are compared, and no connection is lent while they do not belong together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import Producer

from giftcert.dispatch.comparison import Mismatch, compare
from giftcert.dispatch.producer import StreamProducer
from giftcert.dispatch.stream_guard import StreamGuard
from giftcert.settings import Settings
from giftcert.storage.database import Database, StandstillError
from giftcert.storage.outbox import OutboxRepository, Window
from giftcert.storage.stream_comparison import Reason, StreamComparisonRepository
from tests.integration.dispatch.conftest import new_topic
from tests.integration.dispatch.recorded import append, reserved
from tests.shared_servers import owning

pytestmark = [pytest.mark.integration, pytest.mark.made_up_events]


@pytest.fixture
def settings(fresh_database_url: str, kafka: str, topic: str) -> Settings:
    return Settings(
        database_url=fresh_database_url, kafka_bootstrap_servers=kafka, topic_stream=topic, _env_file=None
    )


async def compared(settings: Settings, database: Database) -> Mismatch | None:
    async with database.connection() as connection:
        return await compare(settings, connection, await StreamComparisonRepository(connection).state())


@asynccontextmanager
async def published(settings: Settings, database: Database, *, commits: bool = True) -> AsyncIterator[Window]:
    """Publish what waits, and commit that it was, or end before."""
    producer = StreamProducer(settings.topic_stream, {"bootstrap_servers": settings.kafka_bootstrap_servers})
    try:
        async with database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            outbox = OutboxRepository(connection)
            window = await outbox.lock_window(100, shards=32)
            assert window is not None
            positions = await producer.publish(window.events)
            await outbox.delete(window, positions)
            await (transaction.commit() if commits else transaction.rollback())
            yield window
    finally:
        await producer.drop()


async def test_what_is_on_the_stream_is_recorded_so_they_belong_together(
    database: Database, certificates: list[str], settings: Settings
) -> None:
    assert await compared(settings, database) is None
    await append(database, certificates[0], reserved(1), reserved(2))
    async with published(settings, database), database.connection() as connection:
        positions = await StreamComparisonRepository(connection).positions()
    assert sum(positions.values()) == 2
    assert await compared(settings, database) is None


async def test_what_a_dispatcher_left_that_ended_before_its_commit_is_no_other_life(
    database: Database, certificates: list[str], settings: Settings
) -> None:
    assert await compared(settings, database) is None
    await append(database, certificates[0], reserved(1))
    async with published(settings, database, commits=False), database.connection() as connection:
        positions = await StreamComparisonRepository(connection).positions()
    assert sum(positions.values()) == 0
    assert await compared(settings, database) is None


async def test_an_event_that_is_not_recorded_is_of_a_later_life(
    database: Database, certificates: list[str], settings: Settings
) -> None:
    await append(database, certificates[0], reserved(1))
    async with published(settings, database):
        pass
    assert await compared(settings, database) is None
    await append(database, certificates[0], reserved(2))
    async with published(settings, database):
        pass
    await restored_without_the_last_event(database)
    found = await compared(settings, database)
    assert found is not None
    assert found.reason is Reason.DATABASE_BEHIND
    assert found.detail.startswith(
        "the stream has 1 event or more that this database lacks, from offset 1 of"
    )


async def restored_without_the_last_event(database: Database) -> None:
    async with owning(database) as owner:
        await owner.execute("DELETE FROM events WHERE sequence = 2")
        await owner.execute(
            "UPDATE stream_positions SET published_to = published_to - 1 WHERE published_to = 2"
        )


async def test_a_stream_that_was_cut_short_or_made_anew_is_not_ours(
    database: Database, certificates: list[str], settings: Settings, kafka: str
) -> None:
    await append(database, certificates[0], reserved(1))
    async with published(settings, database):
        pass
    assert await compared(settings, database) is None
    async with owning(database) as owner:
        await owner.execute(
            "UPDATE stream_positions SET published_to = published_to + 7 WHERE published_to > 0"
        )
    found = await compared(settings, database)
    assert found is not None
    assert found.reason is Reason.STREAM_BEHIND
    assert found.detail.endswith("ends at 1, and this database had published to 8")

    other = settings.model_copy(update={"topic_stream": await new_topic(kafka)})
    found = await compared(other, database)
    assert found is not None
    assert (found.reason, other.topic_stream in found.detail) == (Reason.STREAM_REPLACED, True)

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([settings.topic_stream])
    await admin.close()
    found = await compared(settings, database)
    assert found is not None
    assert found.detail == f"there is no topic {settings.topic_stream} any more"


async def test_while_they_do_not_belong_together_no_connection_is_lent(
    database: Database, settings: Settings
) -> None:
    guard = StreamGuard(settings, database)
    await guard.look()
    async with Database(settings.database_address, standstill=guard.standstill) as guarded:
        async with guarded.connection():
            pass
        async with database.connection() as connection:
            await StreamComparisonRepository(connection).stands_still(Reason.RECOVERING, "a test")
        await guard.look()
        with pytest.raises(StandstillError, match="recovering"):
            async with guarded.connection():
                pass
        async with database.connection() as connection:
            repository = StreamComparisonRepository(connection)
            life = (await repository.state()).life
            assert not await repository.belongs(settings.topic_stream, None, life)
            assert await repository.belongs(settings.topic_stream, None, life, recovered=True)
        await guard.look()
        async with guarded.connection():
            pass


async def test_another_life_of_the_database_is_noticed_by_a_new_connection_and_by_each_window(
    database: Database, certificates: list[str], settings: Settings
) -> None:
    guard = StreamGuard(settings, database)
    await guard.look()
    await append(database, certificates[0], reserved(1))
    await another_life(database)
    async with Database(settings.database_address, standstill=guard.standstill) as guarded:
        with pytest.raises(StandstillError, match="notCompared"):
            async with guarded.connection():
                pass
    with pytest.raises(StandstillError, match="notCompared"):
        async with published(settings, database):
            pass
    await guard.look()
    assert guard.standstill.reason is None
    async with published(settings, database):
        pass


async def another_life(database: Database) -> None:
    """The tables come from elsewhere."""
    async with owning(database) as owner:
        await owner.execute(
            """CREATE TABLE restored (LIKE stream_comparison INCLUDING ALL);
                INSERT INTO restored SELECT * FROM stream_comparison;
                DROP TABLE stream_comparison; ALTER TABLE restored RENAME TO stream_comparison;
                GRANT SELECT, UPDATE ON stream_comparison TO giftcert_service"""
        )


async def test_a_broker_in_memory_names_no_ids_and_may_lose_the_stream(
    database: Database, settings: Settings
) -> None:
    broker = Producer({"test.mock.num.brokers": 1})
    [address] = (await asyncio.to_thread(broker.list_topics, timeout=5)).brokers.values()
    await asyncio.to_thread(broker.list_topics, settings.topic_stream, timeout=5)  # makes it
    bootstrap = f"{address.host}:{address.port}"
    in_memory = settings.model_copy(update={"kafka_bootstrap_servers": bootstrap})
    assert await compared(in_memory, database) is None
    async with database.transaction() as connection:
        await StreamComparisonRepository(connection).published({0: 1_000})
    assert await compared(in_memory, database) is None

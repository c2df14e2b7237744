import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from giftcert import outage_report
from giftcert.dispatch.poller import Poller
from giftcert.dispatch.producer import PublishError, StreamProducer
from giftcert.dispatch.publisher import DispatchOutages, ShardPublisher
from giftcert.health import KAFKA, Health
from giftcert.storage.database import Database
from giftcert.storage.outbox import OutboxRepository
from tests.integration.dispatch.conftest import new_topic
from tests.integration.dispatch.dispatchers import end, spawn
from tests.integration.dispatch.recorded import append, event_ids, reserved
from tests.integration.dispatch.stream_reader import StreamReader, first_sequences
from tests.stoppable_kafka import StoppableKafka

pytestmark = [pytest.mark.integration, pytest.mark.made_up_events]


@dataclass(frozen=True)
class OwnTopic:
    """A topic of this test on a broker that it may stop."""

    kafka: StoppableKafka
    name: str

    @property
    def address(self) -> str:
        return self.kafka.address


@pytest.fixture
async def stoppable(stoppable_kafka: StoppableKafka) -> OwnTopic:
    return OwnTopic(stoppable_kafka, await new_topic(stoppable_kafka.address))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is reported at once."""
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 0.0)


@asynccontextmanager
async def hasty_dispatcher(database: Database, topic: OwnTopic) -> AsyncIterator[Health]:
    """A dispatcher of one publisher that gives up after half a second."""
    health = Health()
    outages = DispatchOutages(database=database, health=health, topic=topic.name)
    poller = Poller(database, outages)
    producer = StreamProducer(topic.name, {"bootstrap_servers": topic.address}, timedelta(seconds=0.5))
    publisher = ShardPublisher(database, producer, poller, outages)
    tasks = [asyncio.create_task(poller.poll()), asyncio.create_task(publisher.run())]
    try:
        yield health
    finally:
        poller.end()
        await asyncio.gather(*tasks)


async def until_true(database: Database, condition: str) -> None:
    async with database.connection() as connection:
        while not await connection.fetchval(f"SELECT {condition}"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


REPORTED = "EXISTS (SELECT FROM events WHERE event_type = 'error.processingFailed')"
PUBLISHING = """EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND state = 'idle in transaction' AND query LIKE '%FROM window_of_shards AS o%')"""
ALL_PUBLISHED = "NOT EXISTS (SELECT FROM outbox)"


@pytest.mark.usefixtures("impatient")
async def test_events_recorded_while_kafka_hangs_come_in_order_when_it_goes_on(
    database: Database, certificates: list[str], stoppable: OwnTopic
) -> None:
    one, other = certificates[0], certificates[1]
    reading = StreamReader(stoppable.address, stoppable.name)
    async with reading as reader, hasty_dispatcher(database, stoppable) as health:
        await append(database, one, reserved(1))
        await reader.next()
        stoppable.kafka.hang()
        await append(database, one, reserved(2), reserved(3))
        await until_true(database, REPORTED)
        assert health.waiting_for == "Kafka"
        await append(database, one, reserved(4))
        await append(database, other, reserved(5))
        stoppable.kafka.go_on()
        published = await reader.until(await event_ids(database))
        await until_true(database, ALL_PUBLISHED)

    assert first_sequences([each for each in published if each.key in {one, other}]) == {
        one: [1, 2, 3, 4],
        other: [1],
    }
    failures = {each.event_id: each for each in published if each.key == stoppable.name}
    assert [each.event["payload"]["component"] for each in failures.values()] == ["dispatch"]


async def test_a_failed_window_is_not_sent_behind_the_back_of_the_next_producer(
    database: Database, certificates: list[str], stoppable: OwnTopic
) -> None:
    await append(database, certificates[0], *(reserved(number) for number in range(1, 4)))
    async with database.connection() as connection:
        outbox = OutboxRepository(connection)
        window = await outbox.lock_window(10)
        assert window is not None
        events = window.events
    hasty = StreamProducer(stoppable.name, {"bootstrap_servers": stoppable.address})
    await hasty.publish(events[:1])
    hasty.limit = timedelta(seconds=0.5)
    stoppable.kafka.hang()

    with pytest.raises(PublishError, match="TimeoutError"):
        await hasty.publish(events[1:])
    stoppable.kafka.go_on()
    patient = StreamProducer(stoppable.name, {"bootstrap_servers": stoppable.address})
    await patient.publish(events[1:])
    await patient.drop()

    async with StreamReader(stoppable.address, stoppable.name) as reader:
        published = await reader.until({event.event_id for event in events})
    assert first_sequences(published)[certificates[0]] == [1, 2, 3]


async def test_a_dispatcher_that_stands_still_loses_its_shard_to_another(
    database: Database, certificates: list[str], stoppable: OwnTopic, fresh_database_url: str
) -> None:
    certificate = certificates[0]
    frozen = await spawn(fresh_database_url, stoppable.address, stoppable.name)
    async with StreamReader(stoppable.address, stoppable.name) as reader:
        await append(database, certificate, reserved(1))
        await reader.next()
        stoppable.kafka.hang()
        await append(database, certificate, reserved(2))
        await until_true(database, PUBLISHING)
        frozen.send_signal(signal.SIGSTOP)
        stoppable.kafka.go_on()
        other = await spawn(fresh_database_url, stoppable.address, stoppable.name)
        await append(database, certificate, reserved(3))
        await reader.until(await event_ids(database))
        await until_true(database, ALL_PUBLISHED)

        frozen.send_signal(signal.SIGCONT)
        await end(other)
        await append(database, certificate, reserved(4))
        published = await reader.until(await event_ids(database))
        await end(frozen)

    assert first_sequences(published)[certificate] == [1, 2, 3, 4]


@pytest.mark.usefixtures("impatient")
async def test_an_outage_that_goes_on_is_reported_once_a_minute_by_all_processes_together(
    database: Database,
) -> None:
    first, second = (DispatchOutages(database=database, health=Health(), topic="stream") for _ in range(2))
    for outage in (first, second, first):
        await outage.goes_on(KAFKA, PublishError("away"))

    assert len(await event_ids(database)) == 1


async def test_an_outage_that_soon_ends_is_not_reported(database: Database) -> None:
    outage = DispatchOutages(database=database, health=Health(), topic="stream")
    await outage.goes_on(KAFKA, PublishError("away"))
    outage.over(KAFKA)
    await outage.goes_on(KAFKA, PublishError("away"))

    assert not await event_ids(database)

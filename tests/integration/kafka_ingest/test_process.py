"""The process on real servers: from the topics to the workflows, through outages and rebalances."""

from collections import Counter
from contextlib import AsyncExitStack
from typing import Any, NoReturn

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import UnsupportedCodecError
from pydantic import SecretStr
from temporalio.client import Client

from giftcert import outage_report
from giftcert.contracts.notices import FailureReason
from giftcert.security.data_keys import Purpose
from kafka_ingest import batch_reader, undecodable_batches
from kafka_ingest.consumer import KAFKA, POSTGRESQL, BatchLoop
from kafka_ingest.records import KEPT_OF_TOO_LARGE
from kafka_ingest.signaller import TEMPORAL
from kafka_ingest.undecodable_batches import BoundedResult
from tests.cuttable import cuttable
from tests.hostile_batches import Written
from tests.integration.kafka_ingest.ingest_process import (
    PARTITIONS,
    SOLD,
    Neighbours,
    signals_of,
    until,
    until_fails_again,
)
from tests.unit.contracts.topic_records import goods_line, order, raw

pytestmark = pytest.mark.integration


async def test_a_sale_goes_from_the_topics_to_its_workflow(neighbours: Neighbours, temporal: Client) -> None:
    async with neighbours.process():
        await neighbours.bytes(neighbours.settings.topic_orders, b"\xff\x00")
        await neighbours.order(order(orderId="goods", lines=[goods_line()]))
        await neighbours.sell(0, "IM-1")
        await neighbours.caught_up()
        await neighbours.paid("IM-1")
        await neighbours.all_signalled(temporal)
    assert await signals_of(temporal, neighbours.store.certificates[0]) == SOLD
    assert await neighbours.store.rows("SELECT reason FROM quarantine") == [("invalidJson",)]
    assert await neighbours.committed_offsets() == 5


async def test_idle_partitions_are_marked_too(neighbours: Neighbours) -> None:
    async with neighbours.process():
        await neighbours.caught_up()
        await neighbours.caught_up()


async def test_all_read_once_more_by_another_group_changes_nothing(neighbours: Neighbours) -> None:
    """As after a crash that lost every commit of offsets."""
    await neighbours.sell(0, "IM-1")
    async with neighbours.process():
        await neighbours.caught_up()
    before = await neighbours.store.everything()
    async with neighbours.process(ingest_group=f"{neighbours.settings.ingest_group}-again"):
        await neighbours.caught_up()
    assert await neighbours.store.everything() == before


async def test_postgresql_goes_away_and_comes_back(neighbours: Neighbours, fresh_database_url: str) -> None:
    async with cuttable(fresh_database_url) as (way, url), neighbours.process(database_url=SecretStr(url)):
        await neighbours.sell(0, "IM-0")
        await neighbours.caught_up()
        members = await neighbours.members()
        for nth in range(1, 4):
            way.cut()
            await neighbours.sell(nth, f"IM-{nth}")
            await until_fails_again(POSTGRESQL)
            way.mend()
            await neighbours.caught_up()
        assert await neighbours.members() == members, "it stayed a member all the while"
    for nth in range(4):
        await neighbours.paid(f"IM-{nth}")


async def test_a_rebalance_while_postgresql_is_away(neighbours: Neighbours, fresh_database_url: str) -> None:
    async with cuttable(fresh_database_url) as (way, url), AsyncExitStack() as processes:
        through = SecretStr(url)
        await processes.enter_async_context(neighbours.process(database_url=through))
        await neighbours.caught_up()
        way.cut()
        await neighbours.sell(0, "IM-0")
        await processes.enter_async_context(neighbours.process(database_url=through))

        async def both_are_members() -> bool:
            return len(await neighbours.members()) == 2

        await until(both_are_members)
        await neighbours.sell(1, "IM-1")
        await until_fails_again(POSTGRESQL)
        way.mend()
        await neighbours.caught_up()
    for nth in range(2):
        await neighbours.paid(f"IM-{nth}")


async def test_partitions_move_between_processes_and_nothing_is_lost_or_doubled(
    neighbours: Neighbours,
) -> None:
    async with AsyncExitStack() as stays:
        async with neighbours.process():
            await neighbours.sell(0, "IM-0")
            await stays.enter_async_context(neighbours.process())
            await neighbours.sell(1, "IM-1")
            await neighbours.caught_up()
            assert len(await neighbours.members()) == 2
        await neighbours.sell(2, "IM-2")
        await neighbours.caught_up()
        assert len(await neighbours.members()) == 1
    for nth in range(3):
        await neighbours.paid(f"IM-{nth}")
    assert await neighbours.store.value("SELECT count(*) FROM ingest_marks") == 3 * PARTITIONS


async def test_temporal_goes_away_and_what_is_pending_waits(
    neighbours: Neighbours, temporal: Client, temporal_address: str
) -> None:
    async with cuttable(temporal_address) as (way, address), neighbours.process(temporal_address=address):
        way.cut()
        await neighbours.sell(0, "IM-0")
        await neighbours.caught_up()
        await neighbours.paid("IM-0")
        await until_fails_again(TEMPORAL)
        assert await neighbours.store.value("SELECT count(*) FROM pending WHERE signalled_at IS NULL") == 1
        way.mend()
        await neighbours.all_signalled(temporal)
    assert await signals_of(temporal, neighbours.store.certificates[0]) == SOLD


async def test_what_a_crash_left_unsent_is_swept_up(neighbours: Neighbours, temporal: Client) -> None:
    """The process that committed these is gone."""
    store = neighbours.store
    await store.commit(store.order_record(order(orderId="IM-0", lines=[store.line(0)], total=500_000)))
    await store.rows_changed("UPDATE pending SET since = since - interval '1 minute'")
    async with neighbours.process():
        await neighbours.all_signalled(temporal)
    assert await signals_of(temporal, store.certificates[0]) == ["order_created"]


async def test_kafka_is_away_when_the_process_starts(neighbours: Neighbours, kafka: str) -> None:
    async with cuttable(kafka) as (way, address):
        way.cut()
        async with neighbours.process(kafka_bootstrap_servers=address):
            await until_fails_again(KAFKA)
            way.mend()
            await neighbours.sell(0, "IM-0")
            await neighbours.paid("IM-0")


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_is_read_from_every_producer(neighbours: Neighbours, codec: str) -> None:
    """librdkafka packs snappy in one block, aiokafka and Java in several, framed."""
    topic = neighbours.settings.topic_orders
    producer = AIOKafkaProducer(
        bootstrap_servers=neighbours.settings.kafka_bootstrap_servers, compression_type=codec
    )
    async with neighbours.process(), producer:
        for nth, name in enumerate(("librdkafka", "aiokafka")):
            sold = order(orderId=name, lines=[neighbours.store.line(nth)], total=500_000)
            if name == "librdkafka":
                await neighbours.in_codec(codec, topic, sold, partition=0)
            else:
                await producer.send_and_wait(topic, raw(sold), name.encode())
            await neighbours.ordered(name)
    assert await neighbours.store.rows("SELECT reason FROM quarantine") == []


async def test_a_batch_that_cannot_be_decoded_stops_nothing(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is quarantined, and the records behind it are read."""
    monkeypatch.setitem(batch_reader._UNPACKERS, 4, _unknown)  # type: ignore[index]
    for partition in range(PARTITIONS):
        await neighbours.in_codec("zstd", neighbours.settings.topic_orders, order(), partition)
    async with neighbours.process():
        await neighbours.sell(0, "IM-0")
        await neighbours.caught_up()
        await neighbours.paid("IM-0")
    reasons = await neighbours.store.rows("SELECT reason, searchable FROM quarantine")
    assert reasons == [("undecodableBatch", False)] * PARTITIONS


async def test_a_batch_that_unpacks_to_600_mb_stops_nothing(neighbours: Neighbours) -> None:
    """What is above the limit is kept as hash and first bytes."""
    topic = neighbours.settings.topic_orders
    await neighbours.hostile(topic, 0, [Written(600 * 2**20)], "gzip")
    async with neighbours.process():
        await neighbours.sell(0, "IM-0")
        await neighbours.caught_up()
        await neighbours.paid("IM-0")
    [(reason, sealed)] = await neighbours.store.rows("SELECT reason, record_value FROM quarantine")
    kept = await neighbours.store.seals.open(sealed, Purpose.QUARANTINED_VALUE, f"{topic}:0:0".encode())
    assert (reason, kept) == ("tooLarge", bytes(KEPT_OF_TOO_LARGE))


async def test_a_partition_that_cannot_be_read_is_told_of_and_holds_up_no_other(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 0.6)
    monkeypatch.setattr(undecodable_batches, "FETCHED_AGAIN_SECONDS", 0.1)
    topic = neighbours.settings.topic_orders
    await neighbours.in_codec("none", topic, order(orderId="bad", lines=[neighbours.store.line(3)]), 2)
    take = BoundedResult._take

    def fail_at_the_bad_one(result: BoundedResult, *limits: Any) -> bool:
        if result._topic_partition == (topic, 2):
            raise MemoryError
        return take(result, *limits)

    monkeypatch.setattr(BoundedResult, "_take", fail_at_the_bad_one)
    async with neighbours.process():
        await sell_beside(neighbours)
        assert await place_told(neighbours, FailureReason.PARTITION_STANDS_STILL) == (topic, 2, 0)
        monkeypatch.setattr(BoundedResult, "_take", take)
        await neighbours.ordered("bad")
        await neighbours.caught_up()


async def test_a_consumer_that_fails_again_and_again_is_told_of_although_each_new_one_looks_well(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 3.0)  # longer than it takes to begin anew
    steps = Counter[BatchLoop]()
    step = BatchLoop.step

    async def fail_at_the_third(loop: BatchLoop) -> None:
        steps[loop] += 1
        if steps[loop] == 3:
            raise MemoryError
        await step(loop)

    monkeypatch.setattr(BatchLoop, "step", fail_at_the_third)
    topic = neighbours.settings.topic_orders
    async with neighbours.process():
        await neighbours.in_codec("none", topic, order(lines=[neighbours.store.line()]), 2)
        assert await place_told(neighbours, FailureReason.CONSUMER_RESTARTS) == (topic, 2, 0)


async def sell_beside(neighbours: Neighbours) -> None:
    """Order in the other partitions."""
    for nth in range(3):
        sold = order(orderId=f"IM-{nth}", lines=[neighbours.store.line(nth)], total=500_000)
        await neighbours.in_codec("none", neighbours.settings.topic_orders, sold, nth % 2)
        await neighbours.ordered(f"IM-{nth}")


async def place_told(neighbours: Neighbours, reason: str) -> tuple[Any, ...]:
    """Wait for the event of this reason; return the place that it names."""
    published: list[dict[str, Any]] = []

    async def is_told() -> bool:
        published.extend(said for _, said in await neighbours.store.events() if said["reason"] == reason)
        return bool(published)

    await until(is_told)
    return published[0]["topic"], published[0]["partition"], published[0]["offset"]


def _unknown(_: memoryview) -> NoReturn:
    raise UnsupportedCodecError


async def test_topics_that_were_made_anew_are_read_from_their_beginning(neighbours: Neighbours) -> None:
    """Wherever the group had been in those before them, as after a move to another Kafka with its offsets."""
    settings, store = neighbours.settings, neighbours.store
    async with neighbours.process():
        await neighbours.caught_up()
    await neighbours.sell(0, "IM-1")
    options = {"bootstrap_servers": settings.kafka_bootstrap_servers, "group_id": settings.ingest_group}
    async with AIOKafkaConsumer(**options, enable_auto_commit=False) as consumer:
        places = [
            TopicPartition(topic, partition)
            for topic in (settings.topic_orders, settings.topic_payments)
            for partition in range(PARTITIONS)
        ]
        consumer.assign(places)
        await consumer.commit(await consumer.end_offsets(places))
    await store.rows_changed("UPDATE ingest_marks SET topic_id = 'of the old'")
    async with neighbours.process():
        await neighbours.paid("IM-1")

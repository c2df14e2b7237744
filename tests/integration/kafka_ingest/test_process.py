"""The process on real servers: from the topics to the workflows, through outages and rebalances."""

from contextlib import AsyncExitStack

import pytest
from aiokafka import codec
from pydantic import SecretStr
from temporalio.client import Client

from kafka_ingest.consumer import KAFKA, POSTGRESQL
from kafka_ingest.signaller import TEMPORAL
from tests.integration.kafka_ingest.cuttable import cuttable
from tests.integration.kafka_ingest.ingest_process import (
    PARTITIONS,
    SOLD,
    Neighbours,
    signals_of,
    until,
    until_fails_again,
)
from tests.unit.contracts.topic_records import goods_line, order

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


async def test_a_batch_of_an_unknown_codec_stops_nothing(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a producer may write that we cannot decode is quarantined, and the records behind it are read."""
    monkeypatch.setattr(codec, "cramjam", None)
    for partition in range(PARTITIONS):
        await neighbours.in_codec("zstd", neighbours.settings.topic_orders, order(), partition)
    async with neighbours.process():
        await neighbours.sell(0, "IM-0")
        await neighbours.caught_up()
        await neighbours.paid("IM-0")
    reasons = await neighbours.store.rows("SELECT reason, searchable FROM quarantine")
    assert reasons == [("undecodableBatch", False)] * PARTITIONS

"""What got lost on its way is set off again, and then nothing is wrong any more."""

import asyncio
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from activities.temporal_client import connect
from giftcert.cli.namespace import ensure_namespace
from giftcert.contracts.codec import decode_message
from giftcert.storage.deliveries import DeliveryRepository
from giftcert.telemetry import Health
from giftcert.verification.repair import left_over
from kafka_ingest.signal import Signal
from kafka_ingest.signalling import Signaller
from kafka_ingest.sweeping import Sweep
from kafka_ingest.trouble import Trouble
from tests.integration.kafka_ingest.ingest_doors import signals_of
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import ISSUED, REFUNDED, publish_all
from tests.integration.verification.spoiling import as_it_was, is_of

pytestmark = pytest.mark.integration


async def test_an_event_that_the_stream_lost_is_published_again(world: World) -> None:
    await world.tell_again(
        lambda record: () if is_of(record, world.ids[ISSUED], "issue.ordered") else as_it_was(record)
    )

    assert await world.repair() == [
        "1 events that the stream lacks marked unpublished: dispatch publishes them"
    ]

    await publish_all(world.engine, world.settings)
    assert (await world.verify()).hold


async def test_a_message_that_no_workflow_knows_is_sent_again(world: World) -> None:
    certificate_id = UUID(world.ids[REFUNDED])
    # However long this takes, none has waited long for ingest.
    await world.spoil(
        "UPDATE deliveries SET sent_at = now() - interval '1 h', created_at = now() + interval '1 h'"
    )
    await world.spoil(
        "DELETE FROM applied_messages WHERE certificate_id = :id AND message_key LIKE 'order.created%'",
        id=certificate_id,
    )

    assert await world.repair() == ["1 deliveries that no workflow knows marked unsent: ingest signals them"]
    assert await world.repair() == []

    async with world.engine.begin() as connection:
        left = await DeliveryRepository(connection).unsent_of([world.ids[REFUNDED]])
    assert [decode_message(one.message).key.partition(":")[0] for one in left] == ["order.created"]

    client = await elsewhere(world)
    await swept(world, client)
    assert await signals_of(client, world.ids[REFUNDED]) == ["order_stated"]


async def elsewhere(world: World) -> Client:
    """A namespace of the test's own: a workflow that starts among the shared ones is seen by every other test."""
    own = world.settings.model_copy(update={"temporal_namespace": f"repair-{uuid4().hex[:8]}"})
    client = await connect(own)
    await ensure_namespace(client)
    return client


async def swept(world: World, client: Client) -> None:
    """Ingest's sweep finds what is marked unsent and signals it."""
    trouble = Trouble(world.engine, Health(), "orders-0")
    signaller = Signaller(world.engine, Signal(client), trouble)
    async with signaller.running():
        await world.spoil("UPDATE deliveries SET created_at = now() - interval '1 h' WHERE sent_at IS NULL")
        await world.spoil("UPDATE shards SET last_run = now() - interval '1 h'")
        await Sweep(world.engine, signaller, trouble).round()
        while not signaller.is_idle:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)


async def test_a_certificate_that_lost_its_workflow_gets_one(world: World) -> None:
    client = world.runs._client
    await client.get_workflow_handle(f"certificate-{world.ids[ISSUED]}").terminate()

    async def is_missed() -> bool:  # the list lags behind
        return await world.broken() == {9: {"runMissing"}}

    while not await is_missed():  # noqa: ASYNC110 - a list tells nobody
        await asyncio.sleep(0.02)
    assert await world.repair() == ["1 workflows started from the stored state"]

    assert await world.runs.is_open(world.ids[ISSUED])
    assert (await world.verify()).hold
    assert await world.repair() == []
    while not await is_listed(world, world.ids[ISSUED]):  # noqa: ASYNC110 - a list tells nobody; others rely on it
        await asyncio.sleep(0.02)


async def is_listed(world: World, certificate_id: str) -> bool:
    return any([one async for one in world.runs.pages_of([certificate_id])])


async def test_a_shard_that_lost_its_row_gets_it_back(world: World) -> None:
    await world.spoil("DELETE FROM shards WHERE shard = 7")

    assert await world.repair() == ["2 shards given their row again: their work is taken up"]
    assert (await world.verify()).hold


async def test_what_waits_for_a_part_that_stands_still_is_said(world: World) -> None:
    await world.tell_again(
        lambda record: () if is_of(record, world.ids[ISSUED], "audit.cvcDisclosed") else as_it_was(record)
    )
    await world.spoil(
        "UPDATE events SET published_at = NULL, recorded_at = recorded_at - interval '2 min'"
        " WHERE event_type = 'audit.cvcDisclosed'"
    )
    await world.spoil(
        "UPDATE deliveries SET sent_at = NULL, created_at = now() - interval '2 min' WHERE certificate_id = :id",
        id=UUID(world.ids[REFUNDED]),
    )

    done = await world.repair()

    assert done[0] == "1 events wait for dispatch: is it running?"
    assert done[1].endswith("deliveries wait for ingest: is it running?")


async def test_what_only_a_person_can_mend_is_left(world: World) -> None:
    await world.spoil("DELETE FROM disclosures")
    await world.spoil("DELETE FROM shards WHERE shard = 7")

    assert {one.rule for one in left_over(await world.verify())} == {"disclosureUnrecorded"}

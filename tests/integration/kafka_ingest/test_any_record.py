"""Whatever a batch holds, all of it is committed or in quarantine, and what follows is read."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from giftcert.storage.database import Database
from kafka_ingest.undecodable_batches import UNDECODABLE
from kafka_ingest.writer import BatchWriter
from tests.hostile_batches import CODECS, HEADER, Written, batch, sealed
from tests.hostile_records import LIMIT, records
from tests.integration.kafka_ingest.ingest_store import TOPICS, Store, add_certificates
from tests.unit.contracts.topic_records import goods_line, order
from tests.unit.kafka_ingest.fetched_batches import takings

pytestmark = pytest.mark.integration
CERTIFICATES = [f"01936f5e-0000-7000-8000-00000000000{nth}" for nth in range(4)]
_runs = itertools.count()


@pytest.fixture
async def writer(store: Store, database: Database) -> BatchWriter:
    await add_certificates(database, 0, CERTIFICATES)
    return BatchWriter(database, replace(store.rules, record_limit=LIMIT))


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    topic=some.sampled_from(TOPICS.names),
    written=some.lists(records(CERTIFICATES), min_size=1, max_size=6),
    codec=some.sampled_from(CODECS),
    flipped=some.none() | some.integers(0, 10_000),
)
async def test_no_record_leaves_its_batch_or_the_quarantine_uncommitted(
    store: Store, writer: BatchWriter, topic: str, written: list[Written], codec: str, flipped: int | None
) -> None:
    first = next(_runs) * 10
    data = bytearray(batch(written, codec, offset=first))
    if flipped is not None:
        data[HEADER + flipped % (len(data) - HEADER)] ^= 0x55
    taken = [one for some_of_it in takings(sealed(bytes(data)), topic, LIMIT) for one in some_of_it]
    assert len(taken) == len(written) or taken[-1].timestamp_type == UNDECODABLE
    good = store.order_record(order(orderId=f"good-{first}", lines=[goods_line()]), partition=1)
    committed = await writer.commit([*taken, good], writer.decode([*taken, good]))
    assert committed.counts.total() > len(taken)
    assert committed.counts[TOPICS.orders, "goods"] >= 1
    rejected = {one.source.offset for one in committed.rejections if one.source is not good}
    kept = await store.rows("SELECT record_offset FROM quarantine WHERE topic = :topic", topic=topic)
    assert rejected <= {offset for (offset,) in kept}

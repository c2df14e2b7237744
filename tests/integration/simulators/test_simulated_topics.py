"""The simulators' writing and reading, on a broker."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from simulators.addresses import Addresses
from simulators.baskets import goods_order
from simulators.messages import payment_captured
from simulators.orders import Orders
from simulators.payments import Payments, order_to_pay
from simulators.topics import Reader, Record, Writer, open_reader, open_writer
from tests.processes import PATIENCE_SECONDS

pytestmark = pytest.mark.integration


@pytest.fixture
async def addresses(kafka: str) -> AsyncIterator[Addresses]:
    name = uuid4().hex[:8]
    found = Addresses("http://unused", kafka, f"orders-{name}", f"payments-{name}", f"stream-{name}")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    topics = (found.orders_topic, found.payments_topic)
    await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1) for topic in topics])
    yield found
    await admin.delete_topics(list(topics))
    await admin.close()


async def read(reader: Reader, count: int) -> list[Record]:
    records: list[Record] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(records) < count:
            records += await reader.batch()
    return records


async def test_messages_of_one_order_come_in_their_order_under_its_id(addresses: Addresses) -> None:
    order = goods_order("im", "IM-1")
    async with open_writer(addresses) as writer:
        payments = Payments(writer, addresses.payments_topic)
        written = [await payments.authorize(order), await payments.capture(order)]
    async with open_reader(addresses, addresses.payments_topic) as reader:
        records = await read(reader, 2)
        assert await reader.has_read(await reader.end())
    assert [record.key for record in records] == ["IM-1", "IM-1"]
    assert [one.event_id.encode() in record.value for one, record in zip(written, records, strict=True)] == [
        True
    ] * 2


async def test_bytes_that_are_no_message_lie_where_the_writer_says(addresses: Addresses) -> None:
    async with open_writer(addresses) as writer, open_reader(addresses, addresses.orders_topic) as reader:
        position = await writer.write_bytes(addresses.orders_topic, "IM-2", b"\xff")
        [record] = await read(reader, 1)
    assert (record.position, record.value) == (position, b"\xff")


async def test_a_record_lies_in_the_partition_that_its_key_was_said_to_go_to(addresses: Addresses) -> None:
    topic = addresses.orders_topic
    async with open_writer(addresses) as writer:
        assert await writer.partitions(topic) == [0, 1]
        keys = [f"POS-{number}" for number in range(32)]
        said = [await writer.partition_of(topic, key) for key in keys]
        lie = [(await writer.write_bytes(topic, key, b"{}")).partition for key in keys]
    assert said == lie
    assert set(said) == {0, 1}


async def test_what_is_written_together_keeps_the_order_of_its_key(addresses: Addresses) -> None:
    order = goods_order("pos", "POS-7")
    messages = [payment_captured(order, amount=1, capture=number) for number in range(20)]
    async with open_writer(addresses) as writer, open_reader(addresses, addresses.payments_topic) as reader:
        await writer.write_all(addresses.payments_topic, [(order.order_id, one) for one in messages])
        records = await read(reader, len(messages))
    assert [record.value for record in records] == [msgspec.json.encode(one) for one in messages]


async def test_a_reader_that_skipped_sees_only_what_comes_after(addresses: Addresses) -> None:
    async with open_writer(addresses) as writer, open_reader(addresses, addresses.orders_topic) as reader:
        orders = Orders(writer, addresses.orders_topic)
        await orders.place(goods_order("im", "IM-3"))
        await reader.skip_to_end()
        await orders.place(goods_order("im", "IM-4"))
        [record] = await read(reader, 1)
    assert record.key == "IM-4"
    paid = order_to_pay(record.value, "im")
    assert paid is not None
    assert paid.order_id == "IM-4"


async def test_a_group_goes_on_where_it_committed(addresses: Addresses) -> None:
    async with open_writer(addresses) as writer:
        await write_goods(writer, addresses, "IM-5")
        async with open_reader(addresses, addresses.orders_topic, group=addresses.orders_topic) as reader:
            await read(reader, 1)
            await reader.commit()
        await write_goods(writer, addresses, "IM-6")
        async with open_reader(addresses, addresses.orders_topic, group=addresses.orders_topic) as reader:
            [record] = await read(reader, 1)
    assert record.key == "IM-6"


async def write_goods(writer: Writer, addresses: Addresses, order_id: str) -> None:
    await Orders(writer, addresses.orders_topic).place(goods_order("im", order_id))

"""The ingest process on topics of its own, and its neighbours as a test needs them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.produce import ProduceRequest
from confluent_kafka import Producer
from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from giftcert.settings import Settings
from giftcert.temporal.workflow_starts import workflow_id
from kafka_ingest.main import serve
from kafka_ingest.outages import IngestOutages
from tests.hostile_batches import Written, batch
from tests.integration.kafka_ingest.ingest_store import Store
from tests.processes import PATIENCE_SECONDS
from tests.unit.contracts.topic_records import order, payment, raw

PARTITIONS = 3
SOLD = ["order_created", "payment_captured"]
"""The signals of what ``sell`` tells."""


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - the condition lies in a server
            await asyncio.sleep(0.02)


async def until_fails_again(part: str, times: int = 2) -> None:
    """Wait until ingest has noticed once more, and so often, that something is away."""
    failures = IngestOutages.failures.labels(part)
    seen = failures._value.get()

    async def has_noticed() -> bool:
        return bool(failures._value.get() >= seen + times)

    await until(has_noticed)


@dataclass
class Neighbours:
    """Topics of their own, somebody who writes to them, and processes that read them."""

    settings: Settings
    producer: AIOKafkaProducer
    admin: AIOKafkaAdminClient
    store: Store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.producer.stop()
        await self.admin.close()

    async def order(self, value: Any) -> None:
        await self._write(self.settings.topic_orders, value, value["orderId"])

    async def payment(self, value: Any) -> None:
        await self._write(self.settings.topic_payments, value, value["orderId"])

    async def bytes(self, topic: str, value: bytes, key: str = "k") -> None:
        await self.producer.send_and_wait(topic, value, key.encode())

    async def in_codec(self, codec: str, topic: str, value: Any, partition: int) -> None:
        """Write a record as a producer does that compresses in this way."""
        producer = Producer(
            {"bootstrap.servers": self.settings.kafka_bootstrap_servers, "compression.type": codec}
        )
        producer.produce(topic, raw(value), value["orderId"], partition)
        await asyncio.to_thread(producer.flush)

    async def hostile(self, topic: str, partition: int, records: list[Written], codec: str) -> None:
        """Write a batch that no producer would make."""
        await self.producer.partitions_for(topic)
        client = self.producer.client
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        request = ProduceRequest(None, -1, 30_000, [(topic, [(partition, batch(records, codec))])])
        response = await client.send(leader, request)
        [(_, [(_, error, *_)])] = response.topics
        assert error == 0

    async def _write(self, topic: str, value: Any, key: str) -> None:
        await self.producer.send_and_wait(topic, raw(value), key.encode())

    @asynccontextmanager
    async def process(self, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
        """Run an ingest process as a task until the context is left."""
        task = asyncio.create_task(serve(self.settings.model_copy(update=changes)))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def sell(self, nth: int, name: str) -> None:
        """Order and pay a certificate."""
        await self.order(order(orderId=name, lines=[self.store.line(nth)], total=500_000))
        await self.pay(name)

    async def pay(self, name: str) -> None:
        """Authorise and capture the payment of an order."""
        paid = {"orderId": name, "paymentId": name, "amount": 500_000}
        await self.payment(payment(**paid, eventType="payment.authorized"))
        await self.payment(payment(**paid, captureId="K-1"))

    async def ordered(self, name: str) -> None:
        """Wait until an order is stored."""
        await until(partial(self.store.lines, name))

    async def paid(self, name: str) -> None:
        """Wait until the only line of an order is paid."""

        async def is_paid() -> bool:
            lines = await self.store.lines(name)
            return bool(lines) and lines[0].standing.is_paid

        await until(is_paid)

    async def all_signalled(self, temporal: Client) -> None:
        """Wait until whoever has something pending was signalled; the row says so just before it is done."""

        async def none_waits() -> bool:
            rows = await self.store.rows("SELECT certificate_id::text, signalled_at FROM pending")
            signalled = all(row[1] is not None for row in rows)
            return signalled and all([await is_signalled(temporal, row[0]) for row in rows])

        await until(none_waits)

    async def caught_up(self) -> None:
        """Wait until every partition has a mark that is later than now."""
        now = await self.store.value("SELECT clock_timestamp()")

        async def is_beyond() -> bool:
            marks = await self.store.rows(
                "SELECT topic, partition FROM ingest_marks WHERE caught_up_to > :now", now=now
            )
            return len(marks) == 3 * PARTITIONS

        await until(is_beyond)

    async def committed_offsets(self) -> int:
        """How many records the group has read, by Kafka's account."""
        offsets = await self.admin.list_consumer_group_offsets(self.settings.ingest_group)
        return sum(max(0, one.offset) for one in offsets.values())

    async def members(self) -> dict[str, int]:
        """The members of the group, with how many partitions each has been assigned."""
        [response] = await self.admin.describe_consumer_groups([self.settings.ingest_group])
        [group] = response.groups
        return {member[0]: len(member[-1]) for member in group[5]}


async def make_neighbours(store: Store, keyring: Path, addresses: dict[str, str]) -> Neighbours:
    """Make topics and the clients that write to them."""
    run = uuid4().hex[:10]
    settings = Settings(
        _env_file=None,
        database_url=SecretStr(addresses["database_url"]),
        kafka_bootstrap_servers=addresses["kafka"],
        temporal_address=addresses["temporal"],
        keyring=keyring,
        topic_orders=f"orders-{run}",
        topic_payments=f"payments-{run}",
        topic_clients=f"clients-{run}",
        ingest_group=f"ingest-{run}",
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses["kafka"])
    await admin.start()
    names = (settings.topic_orders, settings.topic_payments, settings.topic_clients)
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    producer = AIOKafkaProducer(bootstrap_servers=addresses["kafka"])
    await producer.start()
    return Neighbours(settings, producer, admin, store)


async def is_signalled(client: Client, certificate_id: str) -> bool:
    """Whether a certificate's workflow runs and has heard of anything."""
    try:
        return bool(await signals_of(client, certificate_id))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False


async def signals_of(client: Client, certificate_id: str) -> list[str]:
    """The signals that the newest run of a certificate's workflow has in its history, in order."""
    history = await client.get_workflow_handle(workflow_id(certificate_id)).fetch_history()
    signalled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return [
        event.workflow_execution_signaled_event_attributes.signal_name
        for event in history.events
        if event.event_type == signalled
    ]

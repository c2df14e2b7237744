"""Goods-only orders and their payments per second of one ingest process: ``python -m benchmarks.ingest``.

Beside it the floor: the same bytes, read by bare aiokafka with ``getmany``. By turns, medians of five rounds. Both
are timed from their first batch on, so that joining a group does not count.
"""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import SecretStr

from benchmarks.measurement import medians, new_folder, options, say_round, servers
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.migrate import migrate
from kafka_ingest.consumer import BATCH_RECORDS, make_consumer
from kafka_ingest.main import serve

PARTITIONS = 8
COLLECTED_AT = gc.get_threshold()
"""As Python has it; ingest sets it for its process, which is this one."""
MESSAGES_OF_AN_ORDER = 3


@dataclass(frozen=True)
class Comparison:
    """Records per second, medians of all rounds, and the median of the rounds' ratios."""

    floor: float
    service: float
    ratio: float
    records: int
    bytes_of_a_record: float
    batch: float


def settings_for(addresses: dict[str, str], folder: Path) -> Settings:
    """Return settings of a stack that is ready to be filled."""
    migrate(addresses["database_owner_url"])
    keyring = folder / "keyring.json"
    Keyring.create(keyring)
    return Settings(
        _env_file=None,
        database_url=SecretStr(addresses["database_url"]),
        kafka_bootstrap_servers=addresses["kafka_bootstrap_servers"],
        temporal_address="127.0.0.1:1",  # nothing is signalled
        keyring=keyring,
    )


def fill(settings: Settings, orders: int) -> int:
    """Write orders of goods and, for each, an authorisation and a capture; return how many bytes."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    names = (settings.topic_orders, settings.topic_payments, settings.topic_clients)
    for made in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        made.result()
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers, "linger.ms": 20})
    written = 0
    for number in range(orders):
        order_id = f"IM-{number:09d}"
        for topic, value in (
            (settings.topic_orders, order(order_id)),
            (settings.topic_payments, payment(order_id, "payment.authorized")),
            (settings.topic_payments, payment(order_id, "payment.captured")),
        ):
            written += len(value)
            while True:
                try:
                    producer.produce(topic, value, order_id)
                    break
                except BufferError:
                    producer.poll(0.1)
    producer.flush()
    return written


def order(order_id: str) -> bytes:
    """Return an order of two lines of goods."""
    lines = [
        {"lineId": str(nth), "kind": "goods", "sku": f"SKU-{nth:06d}", "quantity": 1, "amount": 125_000}
        for nth in (1, 2)
    ]
    return json.dumps(
        {
            "eventId": f"so-{uuid4()}",
            "eventType": "order.created",
            "occurredAt": "2026-11-23T10:00:00Z",
            "channel": "im",
            "orderId": order_id,
            "orderVersion": 1,
            "customerId": f"C-{order_id}",
            "currency": "RUB",
            "total": 250_000,
            "lines": lines,
        }
    ).encode()


def payment(order_id: str, event_type: str) -> bytes:
    """Return a payment of such an order."""
    return json.dumps(
        {
            "eventId": f"pay-{uuid4()}",
            "eventType": event_type,
            "occurredAt": "2026-11-23T10:05:00Z",
            "channel": "im",
            "orderId": order_id,
            "paymentId": f"P-{order_id}",
            "captureId": None,
            "tender": "card",
            "amount": 250_000,
            "currency": "RUB",
        }
    ).encode()


class Watch:
    """Times from the first records on to the last."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._first: tuple[float, int] | None = None

    def sees(self, records: int) -> float | None:
        """Take how many records have been seen so far; return the rate once all have."""
        now = time.perf_counter()
        if self._first is None and records:
            self._first = (now, records)
        if self._first is None or records < self._total:
            return None
        began, at_first = self._first
        return (records - at_first) / (now - began)


async def bare(settings: Settings, total: int) -> float:
    """Return the rate of ``getmany`` alone, with the consumer that ingest uses."""
    gc.set_threshold(*COLLECTED_AT)
    consumer = make_consumer(of_new_group(settings))
    consumer.subscribe(topics=[settings.topic_orders, settings.topic_payments, settings.topic_clients])
    await consumer.start()
    try:
        watch, seen = Watch(total), 0
        while True:
            taken = await consumer.getmany(timeout_ms=200)
            seen += sum(map(len, taken.values()))
            if (rate := watch.sees(seen)) is not None:
                return rate
    finally:
        await consumer.stop()


async def ingest(settings: Settings, total: int) -> float:
    """Return the rate of the whole ingest process, counted as committed in PostgreSQL."""
    before = committed()
    async with serving(of_new_group(settings)):
        watch = Watch(total)
        while True:
            await asyncio.sleep(0.01)
            if (rate := watch.sees(committed() - before)) is not None:
                return rate


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[None]:
    """Run ingest in this process."""
    ingesting = asyncio.create_task(serve(settings))
    try:
        yield
    finally:
        ingesting.cancel()
        with suppress(asyncio.CancelledError):
            await ingesting


def of_new_group(settings: Settings) -> Settings:
    """Return the settings with a consumer group that has read nothing."""
    return settings.model_copy(update={"ingest_group": f"bench-{uuid4()}"})


def committed() -> int:
    """Return how many records ingest has committed in this process."""
    return round(_sum_of(BATCH_RECORDS, "_sum"))


def _sum_of(metric: object, suffix: str) -> float:
    samples = (sample for family in metric.collect() for sample in family.samples)  # type: ignore[attr-defined]
    return sum(sample.value for sample in samples if sample.name.endswith(suffix))


def compare(orders: int, rounds: int) -> Comparison:
    """Measure by turns and return the medians; the first pair warms up."""
    total, pairs = orders * MESSAGES_OF_AN_ORDER, []
    with new_folder() as folder, servers(folder, "postgres", "kafka") as addresses:
        settings = settings_for(addresses, folder)
        written = fill(settings, orders)
        for number in range(rounds + 1):
            pairs.append((asyncio.run(bare(settings, total)), asyncio.run(ingest(settings, total))))
            say_round(number, *pairs[-1])
    batches = _sum_of(BATCH_RECORDS, "_count")
    return Comparison(
        **medians(pairs),
        records=total,
        bytes_of_a_record=round(written / total, 1),
        batch=round(committed() / batches),
    )


def main() -> None:
    """Print the figures."""
    chosen = options(orders=60_000, rounds=5)
    print(json.dumps(asdict(compare(chosen.orders, chosen.rounds)), indent=1))


if __name__ == "__main__":
    main()

"""Whole sales per second beside a raw workflow, and how long a capture takes to be announced.

``python -m benchmarks.sales``: a sale is a reservation over HTTP, order, authorisation and capture on Kafka, and
``issue.completed`` read from the stream; everything runs on this machine.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

import aiokafka
import httpx
from temporalio.client import Client

from benchmarks.measurement import medians, options, say_round
from benchmarks.raw_workflow import QUEUE, RawSale
from benchmarks.stack import Stack, cpu_seconds, running_stack

AT_ONCE = 50
PRICE = 500_000


@dataclass(frozen=True)
class SalesFigures:
    """Medians of the rounds; milliseconds for the latencies, and for what a sale takes of each process."""

    floor: float
    service: float
    ratio: float
    announced_p50: float
    announced_p99: float
    history_events: float
    actions: float
    cpu_ms: dict[str, float]
    floor_temporal_ms: float


class Shop:
    """A channel with all it needs: its API client, its producer, and the stream read from now on."""

    def __init__(self, stack: Stack, api: httpx.AsyncClient, producer: aiokafka.AIOKafkaProducer) -> None:
        self.stack = stack
        self.api = api
        self.producer = producer
        self.issued: dict[str, asyncio.Event] = {}
        self.announced: dict[str, float] = {}
        self.captured: dict[str, float] = {}

    async def read_stream(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        """Note when each certificate is issued and announced."""
        async for record in consumer:
            event_type = dict(record.headers)["ce_type"]
            certificate = record.key.decode()
            if event_type == b"issue.completed" and certificate in self.issued:
                self.issued[certificate].set()
            elif event_type == b"notification.requested":
                self.announced[certificate] = time.perf_counter()

    async def until_announced(self, certificate: str) -> None:
        """Wait until a certificate is announced."""
        while certificate not in self.announced:  # noqa: ASYNC110 - a look a few times a second is enough here
            await asyncio.sleep(0.05)

    async def sell(self, reserved_in: list[float] | None = None) -> str:
        """Carry out one sale; its messages one after another, as a shop sends them.

        How long its reservation took, in milliseconds, is added to a list.
        """
        began = time.perf_counter()
        answer = await self.api.get("/certificates/next", params={"channel": "im", "product": "GC-5000"})
        answer.raise_for_status()
        if reserved_in is not None:
            reserved_in.append(1000 * (time.perf_counter() - began))
        reserved = answer.json()
        certificate, order_id = reserved["certificateId"], f"IM-{uuid4().hex[:16]}"
        self.issued[certificate] = asyncio.Event()
        await self._send("All_SalesOrder", order_id, self._order(order_id, reserved))
        await self._send("All_Payments", order_id, self._payment(order_id, "payment.authorized"))
        await self._send("All_Payments", order_id, self._payment(order_id, "payment.captured"))
        self.captured[certificate] = time.perf_counter()
        await self.issued[certificate].wait()
        return str(certificate)

    async def _send(self, topic: str, order_id: str, message: dict[str, Any]) -> None:
        await self.producer.send_and_wait(topic, json.dumps(message).encode(), key=order_id.encode())

    def _common(self, event_type: str, order_id: str) -> dict[str, Any]:
        return {
            "eventId": uuid4().hex,
            "eventType": event_type,
            "occurredAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "channel": "im",
            "orderId": order_id,
            "currency": "RUB",
        }

    def _order(self, order_id: str, reserved: dict[str, Any]) -> dict[str, Any]:
        line = {
            "lineId": "1",
            "kind": "giftCertificate",
            "certificateId": reserved["certificateId"],
            "reservationId": reserved["reservationId"],
            "amount": PRICE,
        }
        order = {"orderVersion": 1, "customerId": "C-1", "total": PRICE, "lines": [line]}
        return self._common("order.created", order_id) | order

    def _payment(self, order_id: str, event_type: str) -> dict[str, Any]:
        payment = {"paymentId": f"P-{order_id}", "tender": "card", "amount": PRICE}
        return self._common(event_type, order_id) | payment


@asynccontextmanager
async def open_shop(stack: Stack) -> AsyncIterator[Shop]:
    """Connect a shop to the stack."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=stack.kafka)
    consumer = aiokafka.AIOKafkaConsumer("GiftCertificates.Stream", bootstrap_servers=stack.kafka)
    headers = {"Authorization": f"Bearer {stack.token}"}
    async with (
        httpx.AsyncClient(base_url=stack.api_url, headers=headers, timeout=30) as api,
        producer,
        consumer,
    ):
        shop = Shop(stack, api, producer)
        reading = asyncio.create_task(shop.read_stream(consumer))
        yield shop
        reading.cancel()


async def rate_of(work: Callable[[], Awaitable[object]], count: int) -> float:
    """Return how many a second are done, so many at once."""
    waiting = iter(range(count))

    async def one_after_another() -> None:
        for _ in waiting:
            await work()

    began = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - began)


async def raw_sale(client: Client) -> None:
    """Carry out the floor: start with the first signal, two more, and the end."""
    message = {"orderId": "IM-1", "amount": PRICE, "eventId": uuid4().hex}
    handle = await client.start_workflow(
        RawSale.run,
        "c",
        id=f"raw-{uuid4()}",
        task_queue=QUEUE,
        start_signal="tell",
        start_signal_args=[message],
    )
    await handle.signal("tell", message)
    await handle.signal("tell", message)
    await handle.result()


async def latencies(shop: Shop, per_second: float, count: int) -> list[float]:
    """Return the milliseconds from a capture to its ``notification.requested``, at a steady pace."""
    sales = []
    for _ in range(count):
        sales.append(asyncio.create_task(shop.sell()))
        await asyncio.sleep(1 / per_second)
    certificates = await asyncio.gather(*sales)
    await asyncio.gather(*(shop.until_announced(one) for one in certificates))
    return [1000 * (shop.announced[one] - shop.captured[one]) for one in certificates]


async def history_of(client: Client, certificate: str) -> tuple[int, int]:
    """Return the history events and billable actions that a sale took."""
    history = await client.get_workflow_handle(f"certificate-{certificate}").fetch_history()
    kinds = [event.WhichOneof("attributes") or "" for event in history.events]
    billed = ("workflow_execution_started", "workflow_execution_signaled", "timer_started", "upsert_workflow")
    actions = sum(kind.startswith(billed) for kind in kinds)
    local_tasks = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in history.events
        if event.HasField("marker_recorded_event_attributes")
    }
    return len(kinds), actions + len(local_tasks)


@contextmanager
def raw_worker(stack: Stack) -> Iterator[None]:
    """A worker of the floor, as a process of its own."""
    command = [sys.executable, "-m", "benchmarks.raw_workflow", stack.temporal]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(10)


def cpu_ms(before: dict[str, float], after: dict[str, float], count: int) -> dict[str, float]:
    """Return the milliseconds of each process that one of so many sales took."""
    return {part: 1000 * (after[part] - before.get(part, 0.0)) / count for part in after}


async def measure(stack: Stack, rounds: int, count: int) -> SalesFigures:
    """Measure floor and service by turns, then the latency at 5 sales a second."""
    client = await Client.connect(stack.temporal)
    async with open_shop(stack) as shop:
        pairs, raw, spent = [], list[dict[str, float]](), list[dict[str, float]]()
        for number in range(rounds + 1):
            start = cpu_seconds(stack)
            with raw_worker(stack):
                floor = await rate_of(lambda: raw_sale(client), count)
            before = cpu_seconds(stack)
            sales = await rate_of(shop.sell, count)
            raw.append(cpu_ms(start, before, count))
            spent.append(cpu_ms(before, cpu_seconds(stack), count))
            say_round(number, floor, sales)
            pairs.append((floor, sales))
        waits = await latencies(shop, per_second=5, count=25 * rounds)
        slow = quantiles(waits, n=100)
        counts = [await history_of(client, one) for one in list(shop.announced)[-20:]]
    return SalesFigures(
        **medians(pairs, digits=1),
        announced_p50=round(median(waits), 1),
        announced_p99=round(slow[98], 1),
        history_events=median(events for events, _ in counts),
        actions=median(actions for _, actions in counts),
        cpu_ms={part: round(median(one[part] for one in spent[1:]), 1) for part in sorted(spent[-1])},
        floor_temporal_ms=round(median(one["temporal"] for one in raw[1:]), 1),
    )


def main() -> None:
    """Print the figures."""
    chosen = options(rounds=5, count=200)  # sales of a round
    with running_stack(pool=0) as stack:
        figures = asyncio.run(measure(stack, chosen.rounds, chosen.count))
    print(json.dumps(asdict(figures), indent=1))


if __name__ == "__main__":
    main()

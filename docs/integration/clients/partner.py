"""What the clients beside this file share; copy what you need. Needs: pip install httpx confluent-kafka

PARTNER_API and PARTNER_KAFKA say where the service is, PARTNER_TOKEN who calls.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

KAFKA = os.environ.get("PARTNER_KAFKA", "127.0.0.1:9092")
STREAM = "GiftCertificates.Stream"


class RefusedError(Exception):
    """The service said no: ``problem`` is its application/problem+json, whose type ends with a stable name."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['status']} {problem['title']}: {problem['detail']}")
        self.problem = problem
        self.name = problem["type"].rpartition("/")[2]


class Api:
    """The HTTP API with one token."""

    def __init__(self) -> None:
        token = os.environ["PARTNER_TOKEN"]
        self._client = httpx.Client(
            base_url=os.environ.get("PARTNER_API", "http://127.0.0.1:8080"),
            headers={"Authorization": f"Bearer {token}"},
            timeout=15,
        )

    def call(self, method: str, path: str, *, key: str | None = None, **request: Any) -> Any:
        """Call, and again with the same key while the answer is 429, 503 or none at all."""
        headers = {"Idempotency-Key": key} if key else {}
        for attempt in range(10):
            try:
                reply = self._client.request(method, path, headers=headers, **request)
            except httpx.TransportError:
                if attempt == 9 or (key is None and method == "POST"):
                    raise  # without a key a second POST could do it twice
                time.sleep(1)
                continue
            if reply.status_code not in {429, 503}:
                break
            time.sleep(float(reply.headers.get("Retry-After", "1")))
        if reply.is_error:
            raise RefusedError(reply.json())
        return reply.json() if reply.content else None


class Topic:
    """One of the topics that a partner writes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failed: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": KAFKA,
                "enable.idempotence": True,  # no repeats and no gaps from retries, one key's messages in their order
                "partitioner": "murmur2_random",  # as Java's clients: one key is one partition whoever writes
            }
        )

    def send(self, key: str, *messages: dict[str, Any]) -> None:
        """Write messages under one key, in this order; returns when the brokers have all of them."""
        for message in messages:
            self._producer.produce(
                self._name, key=key, value=json.dumps(message).encode(), on_delivery=self._delivered
            )
        if self._producer.flush(30) or self._failed:
            raise KafkaException(*self._failed)  # send all of them again: repeats do no harm

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed.append(error)


def read_stream(
    group: str | None = None, offsets: dict[int, int] | None = None, wait: float = 0
) -> Iterator[Message]:
    """Yield the messages of the stream up to its present end, and so many seconds of what comes then.

    A group goes on where it was; else each partition is read from its place in ``offsets``, or from the beginning.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": KAFKA,
            "group.id": group or "none",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    partitions = consumer.list_topics(STREAM, 10).topics[STREAM].partitions
    places = [TopicPartition(STREAM, one, (offsets or {}).get(one, OFFSET_BEGINNING)) for one in partitions]
    if group is not None:
        committed = consumer.committed([TopicPartition(STREAM, one) for one in partitions], 10)
        places = [
            TopicPartition(STREAM, one.partition, max(one.offset, OFFSET_BEGINNING)) for one in committed
        ]
    consumer.assign(places)
    unread, deadline = set(partitions), time.monotonic() + wait
    try:
        while unread or time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            if message.error() is None:
                yield message
                if group is not None:  # only now, when the reader has done with it what it does
                    consumer.commit(message, asynchronous=False)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise KafkaException(message.error())
    finally:
        consumer.close()


def until(done: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask every 0.2 s until there is an answer, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := done()):
        if time.monotonic() > deadline:
            raise TimeoutError("it has not come about in time")
        time.sleep(0.2)
    return answer


def now() -> str:
    """Return the present instant as messages have it: RFC 3339 in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def fresh(prefix: str) -> str:
    """Return an id that no other message or order has."""
    return f"{prefix}-{uuid4()}"

"""Events per second that dispatch publishes of a backlog: ``python -m benchmarks.dispatch``.

Beside it the floor: the same keys, bytes and headers, sent by a bare idempotent producer. By turns, medians of all
rounds. Both are timed from their first acknowledgement to their last, so that starting does not count.
"""

import asyncio
import json
import time
from dataclasses import asdict, dataclass

import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr

from benchmarks.measurement import medians, new_folder, options, servers
from benchmarks.outbox_rows import empty_outbox, record_backlog
from giftcert.contracts.stream import Header, encode_event
from giftcert.dispatch.main import serve
from giftcert.dispatch.publisher import PUBLISHED, WINDOW
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.migrate import migrate
from giftcert.storage.outbox import OutboxRepository

PARTITIONS = 8
Record = tuple[bytes, bytes, list[Header]]


@dataclass(frozen=True)
class Comparison:
    """Events per second, medians of all rounds, and the median of the rounds' ratios."""

    floor: float
    service: float
    ratio: float
    events: int
    bytes_of_an_event: float


class Measurement:
    """Rounds on one PostgreSQL and one Kafka."""

    def __init__(self, settings: Settings, database: Database, events: int) -> None:
        self._settings = settings
        self._database = database
        self._events = events
        self._bytes = 0

    async def compare(self, rounds: int) -> Comparison:
        """Measure floor and service by turns; the first round warms up."""
        pairs = [await self._round(f"stream-{number}") for number in range(rounds + 1)]
        bytes_of_an_event = round(self._bytes / self._events, 1)
        return Comparison(**medians(pairs), events=self._events, bytes_of_an_event=bytes_of_an_event)

    async def _round(self, topic: str) -> tuple[float, float]:
        await record_backlog(self._database, self._events)
        records = await self._encoded()
        self._bytes = sum(len(key) + len(value) for key, value, _ in records)
        await self._make(f"{topic}-floor")
        await self._make(topic)
        floor = await self._produce(f"{topic}-floor", records)
        service = await self._dispatch(topic, len(records))
        await empty_outbox(self._database)
        return floor, service

    async def _encoded(self) -> list[Record]:
        """Return what dispatch is going to send."""
        records: list[Record] = []
        async with self._database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            outbox = OutboxRepository(connection)
            while (window := await outbox.lock_window(WINDOW)) is not None:
                await outbox.delete(window)
                records += [encode_event(event) for event in window.events]
            await transaction.rollback()
        return records

    async def _make(self, topic: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap_servers)
        await admin.start()
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        await admin.close()

    async def _produce(self, topic: str, records: list[Record]) -> float:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers, enable_idempotence=True
        )
        async with producer:
            await producer.partitions_for(topic)
            began = time.perf_counter()
            acknowledgements = [
                await producer.send(topic, value, key, headers=headers) for key, value, headers in records
            ]
            await asyncio.gather(*acknowledgements)
            return len(records) / (time.perf_counter() - began)

    async def _dispatch(self, topic: str, events: int) -> float:
        published = PUBLISHED._value  # noqa: SLF001 - the count of this process
        before = published.get()
        task = asyncio.create_task(serve(self._settings.model_copy(update={"topic_stream": topic})))
        while (begun := published.get()) == before:  # noqa: ASYNC110 - a counter notifies nobody
            await asyncio.sleep(0.001)
        began = time.perf_counter()
        while (done := published.get()) < before + events:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        rate = (done - begun) / (time.perf_counter() - began)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return float(rate)


async def _measure(addresses: dict[str, str], rounds: int, events: int) -> Comparison:
    url = addresses["database_url"]
    settings = Settings(
        _env_file=None,
        database_url=SecretStr(url),
        kafka_bootstrap_servers=addresses["kafka_bootstrap_servers"],
    )
    database = Database(url)
    try:
        return await Measurement(settings, database, events).compare(rounds)
    finally:
        await database.close()


def main() -> None:
    """Print the comparison."""
    chosen = options(rounds=5, events=60_000)
    with new_folder() as folder, servers(folder, "postgres", "kafka") as addresses:
        migrate(addresses["database_owner_url"])
        found = uvloop.run(_measure(addresses, chosen.rounds, chosen.events))
    print(json.dumps(asdict(found), indent=1))


if __name__ == "__main__":
    main()

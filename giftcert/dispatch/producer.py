"""The producer of the stream: all of a window is acknowledged, or the producer is dropped."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from giftcert.contracts.stream import StoredEvent, encode_event

PUBLISH_LIMIT = timedelta(seconds=7)
"""Well under the 10 s after which PostgreSQL ends our idle transaction and another process takes the shard."""
_EXPIRY_MILLISECONDS = 60_000
"""Never reached before the limit: after an expiry aiokafka may send a later batch before an earlier one."""
_BATCH_BYTES = 262_144
_CLOSE_SECONDS = 2.0
_PARTITION_OF_KEY = DefaultPartitioner()


class PublishError(Exception):
    """The stream did not acknowledge everything; what arrived is unknown."""


@dataclass(slots=True)
class StreamProducer:
    """Publishes windows with an idempotent producer, made at need and dropped at the first doubt."""

    topic: str
    connection_options: dict[str, Any]
    limit: timedelta = PUBLISH_LIMIT
    _producer: AIOKafkaProducer | None = field(default=None, init=False)

    async def publish(self, events: Sequence[StoredEvent]) -> dict[int, int]:
        """Publish in order and await every acknowledgement; return the offset behind the last, by partition.

        Raises:
            PublishError: not all were acknowledged in time; the producer is gone with all that it still held.
        """
        try:
            async with asyncio.timeout(self.limit.total_seconds()):
                return await self._send(await self._started(), events)
        except (KafkaError, TimeoutError, OSError) as error:
            await self.drop()
            raise PublishError(f"{type(error).__name__}: {error}") from error
        except asyncio.CancelledError:
            await self.drop()
            raise

    async def drop(self) -> None:
        """Give the producer up without flushing: what it holds will be sent again by its successor.

        A flush would send the rest of a failed window, and so a later event before an earlier one.
        """
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # aiokafka offers only a stop that flushes, so its parts are ended here, one by one.
        producer._closed = True  # noqa: SLF001 - or it warns of not having been stopped
        task = producer._sender.sender_task  # noqa: SLF001
        if task is not None:
            task.cancel()
        await producer.client.close()  # requests in flight end with an error, so the task can end
        if task is not None:
            await asyncio.wait([task], timeout=_CLOSE_SECONDS)

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                **self.connection_options,
                enable_idempotence=True,
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=_EXPIRY_MILLISECONDS,
            )
            await self._producer.start()
        return self._producer

    async def _send(self, producer: AIOKafkaProducer, events: Iterable[StoredEvent]) -> dict[int, int]:
        """Send batches made here: handed over one by one, each event costs aiokafka a future and a task's turn."""
        partitions = sorted(await producer.partitions_for(self.topic))
        batches: dict[int, list[BatchBuilder]] = {}
        for event in events:
            key, value, headers = encode_event(event)
            partition = _PARTITION_OF_KEY(key, partitions, partitions)
            ours = batches.setdefault(partition, [])
            record = {"timestamp": None, "key": key, "value": value, "headers": headers}
            if not ours or ours[-1].append(**record) is None:
                ours.append(producer.create_batch())
                ours[-1].append(**record)  # an empty batch takes any record
        ends = await asyncio.gather(*(self._send_all(producer, *one) for one in batches.items()))
        return dict(zip(batches, ends, strict=True))

    async def _send_all(self, producer: AIOKafkaProducer, partition: int, batches: list[BatchBuilder]) -> int:
        """Send batches of one partition; return the offset behind the last, 0 where the broker names none."""
        acknowledgements = []
        for batch in batches:
            batch.close()
            acknowledgements.append(await producer.send_batch(batch, self.topic, partition=partition))
        written = await asyncio.gather(*acknowledgements)  # a batch that was there already has the offset -1
        ends = (
            one.offset + batch.record_count()
            for one, batch in zip(written, batches, strict=True)
            if one.offset >= 0
        )
        return max(ends, default=0)

"""Reads a stream topic from its beginning, as any consumer would."""

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer


@dataclass(frozen=True)
class Published:
    """One record of the stream."""

    key: str
    raw: bytes
    headers: dict[str, bytes]

    @property
    def event(self) -> dict[str, Any]:
        envelope: dict[str, Any] = json.loads(self.raw)
        return envelope

    @property
    def event_id(self) -> str:
        return str(self.event["eventId"])


class StreamReader:
    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        self.published: list[Published] = []

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def next(self) -> Published:
        """Wait for one more record."""
        record = await self._consumer.getone()
        published = Published(record.key.decode(), record.value, dict(record.headers))
        self.published.append(published)
        return published

    async def until(self, event_ids: set[str]) -> list[Published]:
        """Wait until all these events have been told; return everything told so far."""
        missing = event_ids - {published.event_id for published in self.published}
        while missing:
            missing.discard((await self.next()).event_id)
        return self.published


def first_sequences(published: list[Published]) -> dict[str, list[int]]:
    """Return the sequence numbers of each certificate in the order in which each was first told."""
    found: dict[str, list[int]] = {}
    for one in published:
        numbers = found.setdefault(one.key, [])
        if one.event["sequence"] not in numbers:
            numbers.append(one.event["sequence"])
    return found

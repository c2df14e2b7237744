"""How far the batch loop says that it is, while batches are under way, fail, or are dropped by a rebalance."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from giftcert.storage.quarantine import Place
from kafka_ingest import consumer
from kafka_ingest.consumer import BatchLoop
from kafka_ingest.decoder import DecodedBatch
from kafka_ingest.records import InputRecord
from kafka_ingest.transaction import Committed

PARTITION = TopicPartition("orders", 0)


@dataclass
class Consumer:
    """Stands in for aiokafka: gives what it is told to, remembers seeks, pauses and commits."""

    given: asyncio.Queue[dict[TopicPartition, list[InputRecord]]] = field(default_factory=asyncio.Queue)
    position: int = 0
    paused_now: set[TopicPartition] = field(default_factory=set)
    commits: list[dict[TopicPartition, int]] = field(default_factory=list)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    refuses: bool = False

    def gives(self, *offsets: int) -> None:
        self.taken.clear()
        records = [InputRecord("orders", 0, offset, b"", b"") for offset in offsets]
        self.given.put_nowait({PARTITION: records} if records else {})

    async def getmany(self, **_: Any) -> dict[TopicPartition, list[InputRecord]]:
        taken = await self.given.get()
        for records in taken.values():
            self.position = records[-1].offset + 1
        self.taken.set()
        return taken

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition == PARTITION
        self.position = offset

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused_now |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused_now -= set(partitions)

    def paused(self) -> set[TopicPartition]:
        return set(self.paused_now)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.refuses:
            raise KafkaError
        self.commits.append(offsets)


@dataclass
class Writer:
    """Stands in for PostgreSQL: commits when it is let, or fails."""

    may_commit: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    batches: list[list[int]] = field(default_factory=list)

    def decode(self, _: object) -> DecodedBatch:
        return DecodedBatch()

    async def commit(self, records: list[InputRecord], _: DecodedBatch) -> Committed:
        await self.may_commit.wait()
        if self.failure:
            raise self.failure
        self.batches.append([record.offset for record in records])
        return Committed()


class Outages:
    """Stands in for the outage report."""

    place: Place = ("orders", 0, 0)

    def over(self, part: str) -> None:
        pass

    async def goes_on(self, part: str, error: BaseException) -> None:
        pass


@dataclass
class Scene:
    consumer: Consumer = field(default_factory=Consumer)
    writer: Writer = field(default_factory=Writer)

    def __post_init__(self) -> None:
        self.loop = BatchLoop(self.consumer, self.writer, Outages(), lambda _: None)  # type: ignore[arg-type]

    @property
    def reached(self) -> int:
        return self.loop.reached(PARTITION, self.consumer.position)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.fixture
def backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is read counts as a backlog."""
    monkeypatch.setattr(consumer, "BACKLOG", 1)


async def test_what_is_only_read_is_not_reached(scene: Scene) -> None:
    scene.consumer.gives(0, 1, 2)
    await scene.loop.step()
    assert (scene.consumer.position, scene.reached) == (3, 0)
    scene.writer.may_commit.set()
    await scene.loop.finished()
    assert scene.reached == 3
    await scene.loop.commit_offsets()
    assert scene.consumer.commits == [{PARTITION: 3}]


async def test_what_comes_while_a_batch_is_committed_is_read_when_that_is_done(scene: Scene) -> None:
    scene.consumer.gives(0)
    await scene.loop.step()
    scene.consumer.gives(1)
    second = asyncio.create_task(scene.loop.step())
    await asyncio.sleep(0)
    assert scene.consumer.position == 1
    scene.writer.may_commit.set()
    await second
    await scene.loop.finished()
    assert scene.writer.batches == [[0], [1]]


@pytest.mark.parametrize(("records", "waits"), [((0, 1), False), ((0, 1, 2), True)])
async def test_after_a_batch_of_several_records_more_are_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, records: tuple[int, ...], *, waits: bool
) -> None:
    monkeypatch.setattr(consumer, "GATHER_SECONDS", 3600)
    scene.writer.may_commit.set()
    scene.consumer.gives(*records)
    await scene.loop.step()
    scene.consumer.gives(9)
    second = asyncio.create_task(scene.loop.step())
    done, _ = await asyncio.wait({second}, timeout=0.05)
    assert (not done) == waits
    second.cancel()


@pytest.mark.usefixtures("backlog")
async def test_of_a_backlog_the_next_batch_is_read_while_one_is_committed(scene: Scene) -> None:
    scene.consumer.gives(0)
    await scene.loop.step()
    scene.consumer.gives(1)
    second = asyncio.create_task(scene.loop.step())
    await scene.consumer.taken.wait()
    assert (scene.consumer.position, scene.reached) == (2, 0)
    scene.writer.may_commit.set()
    await second
    await scene.loop.finished()
    assert scene.writer.batches == [[0], [1]]
    assert scene.reached == 2


@pytest.mark.usefixtures("backlog")
async def test_a_failed_batch_and_the_one_read_after_it_come_again(scene: Scene) -> None:
    scene.writer.failure = OSError("away")
    scene.writer.may_commit.set()
    scene.consumer.gives(0, 1)
    await scene.loop.step()
    scene.consumer.gives(2)
    await scene.loop.step()
    await scene.loop.finished()
    assert scene.consumer.position == 0
    assert scene.reached == 0
    assert scene.consumer.paused_now == {PARTITION}
    assert scene.writer.batches == []


@pytest.mark.usefixtures("backlog")
async def test_a_batch_that_a_rebalance_drops_is_not_reached_by_the_old_position(scene: Scene) -> None:
    scene.consumer.gives(0)
    await scene.loop.step()
    revoking = asyncio.create_task(scene.loop.on_partitions_revoked([PARTITION]))
    scene.consumer.gives(1)
    second = asyncio.create_task(scene.loop.step())
    await scene.consumer.taken.wait()
    scene.writer.may_commit.set()
    await asyncio.gather(revoking, second)
    assert scene.writer.batches == [[0]]
    assert scene.consumer.commits == [{PARTITION: 1}], "before others read on from there"
    assert (scene.consumer.position, scene.reached) == (2, 1)
    scene.consumer.position = 1  # where the committed offsets stand
    await scene.loop.on_partitions_assigned([PARTITION])
    assert scene.reached == 1


async def test_a_new_assignment_is_paused_while_postgresql_is_away(scene: Scene) -> None:
    scene.writer.failure = OSError("away")
    scene.writer.may_commit.set()
    scene.consumer.gives(0)
    await scene.loop.step()
    await scene.loop.finished()
    scene.consumer.paused_now.clear()
    await scene.loop.on_partitions_revoked([PARTITION])
    await scene.loop.on_partitions_assigned([PARTITION])
    assert scene.consumer.paused_now == {PARTITION}


async def test_offsets_that_kafka_did_not_hear_of_are_told_again(scene: Scene) -> None:
    scene.writer.may_commit.set()
    scene.consumer.refuses = True
    scene.consumer.gives(0, 1)
    await scene.loop.step()
    await scene.loop.finished()
    with pytest.raises(KafkaError):
        await scene.loop.commit_offsets()
    scene.consumer.refuses = False
    await scene.loop.commit_offsets()
    assert scene.consumer.commits == [{PARTITION: 2}]
    await scene.loop.commit_offsets()
    assert scene.consumer.commits == [{PARTITION: 2}], "once it has heard, nothing is told again"

"""What waited may be published by others before a shard is locked."""

import pytest

from giftcert.dispatch.poller import Poller
from giftcert.dispatch.producer import StreamProducer
from giftcert.dispatch.publisher import DispatchOutages, ShardPublisher
from giftcert.health import Health
from giftcert.storage.database import Database
from giftcert.storage.outbox import OutboxRepository, Window

pytestmark = pytest.mark.integration


async def test_a_window_of_which_others_have_published_all_is_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_left(*_: object) -> Window:
        return Window((), (), more_wait=False)

    async def publishes_nothing(*_: object) -> dict[int, int]:
        return {}

    monkeypatch.setattr(OutboxRepository, "lock_window", nothing_left)
    monkeypatch.setattr(StreamProducer, "publish", publishes_nothing)
    outages = DispatchOutages(database=database, health=Health(), topic="stream")
    publisher = ShardPublisher(database, StreamProducer("stream", {}), Poller(database, outages), outages)
    assert not await publisher.cycle()

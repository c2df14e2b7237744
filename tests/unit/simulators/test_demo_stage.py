import asyncio
from collections.abc import AsyncIterator
from typing import cast

import httpx
import pytest

from simulators.addresses import Addresses
from simulators.channel import Channel
from simulators.crm import Crm
from simulators.demo.expectations import RefusalsCounted
from simulators.demo.journal import Journal
from simulators.demo.play import NEVER_BEGUN, Play, World
from simulators.demo.scenarios import Scenario
from simulators.demo.stage import Stage
from simulators.orders import Orders
from simulators.payments import Payments
from simulators.service import Service
from simulators.support import Support
from simulators.topics import Writer

ADDRESSES = Addresses("http://unused", "unused", "orders", "payments", "stream")


@pytest.fixture
async def world(journal: Journal) -> AsyncIterator[World]:
    """Neighbours with nobody behind them: the stories of these tests write and ask nothing."""
    writer = cast("Writer", None)
    async with httpx.AsyncClient() as client:
        service = Service(client, "token")
        till = Channel("pos", service, Orders(writer, "orders"), Payments(writer, "payments"))
        yield World("run", ADDRESSES, {"pos": till}, writer, Crm(service), Support(service), journal)


async def test_what_ends_the_day_begins_when_all_else_has_ended(world: World) -> None:
    published: list[str] = []

    async def by_day(_: Play) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        published.append("day")

    async def in_the_evening(_: Play) -> None:
        published.append("evening")

    evening = Scenario("evening", in_the_evening, channels=("pos",), ends_the_day=True)
    day = Scenario("day", by_day, channels=("pos",), waits=True)
    await Stage(world, pace=10_000).perform({evening: 1, day: 3}, patience=30)
    assert published == ["day", "day", "day", "evening"]


async def test_what_never_comes_out_ends_the_day_without_its_end(world: World) -> None:
    async def waits_in_vain(play: Play) -> None:
        play.expect(RefusalsCounted("GC-1", refused=1))

    async def in_the_evening(_: Play) -> None:
        pytest.fail("the day is not over")

    evening = Scenario("evening", in_the_evening, channels=("pos",), ends_the_day=True)
    day = Scenario("day", waits_in_vain, channels=("pos",))
    stage = Stage(world, pace=10_000)
    await stage.perform({evening: 1, day: 1}, patience=0.05)
    assert [play.failure for play in (*stage.plays[day], *stage.plays[evening])] == [None, NEVER_BEGUN]


async def test_a_slow_day_goes_on_as_long_as_stories_come_out(world: World) -> None:
    ends: list[float | None] = []

    async def looks_at_the_end(_: Play) -> None:
        assert stage._limit is not None
        ends.append(stage._limit.when())

    evening = Scenario("evening", looks_at_the_end, channels=("pos",), ends_the_day=True)
    day = Scenario("day", looks_at_the_end, channels=("pos",))
    stage = Stage(world, pace=10_000)
    await stage.perform({evening: 1, day: 1}, patience=30)
    [by_day, in_the_evening] = ends
    assert by_day is not None
    assert in_the_evening is not None
    assert by_day < in_the_evening

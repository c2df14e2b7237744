"""Plays the programme: at a pace, so many stories at once, until each has ended or for too long none did."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from simulators.baskets import goods_order
from simulators.demo.play import Play, World
from simulators.demo.scenarios import Scenario, channels_of
from simulators.messages import Order, order_created, payment_authorized, payment_captured
from simulators.programs import paced, reason_of

AT_ONCE = 48
"""Stories under way at the same time, those that wait for a deadline not counted."""


Cue: TypeAlias = tuple[Scenario, Play]


@dataclass(slots=True)
class Stage:
    """The stories being played."""

    world: World
    pace: float
    plays: dict[Scenario, list[Play]] = field(default_factory=dict)
    on_done: Callable[[], None] = lambda: None
    _under_way: list["asyncio.Task[None]"] = field(default_factory=list)
    _patience: float = 0.0
    _limit: asyncio.Timeout | None = None
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def perform(self, programme: dict[Scenario, int], patience: float) -> None:
        """Play everything, and return when all have ended as expected or for so many seconds no story did.

        A slow machine takes as long as it needs.
        """
        by_day, at_its_end = self._cues(programme)
        try:
            self._patience = patience
            async with asyncio.timeout(patience) as self._limit:
                await self._play_all(by_day)
                await self._play_all(at_its_end)
        except TimeoutError:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _play_all(self, cues: list[Cue]) -> None:
        async for number in paced(self.pace, len(cues)):
            self._under_way.append(await self._begin(*cues[number - 1]))
        await asyncio.gather(*self._under_way)

    def _cues(self, programme: dict[Scenario, int]) -> tuple[list[Cue], list[Cue]]:
        """Return every playing: those that wait first, then the others in no order; and those that end the day."""
        cues = [
            (scenario, Play(self.world, self.world.channels[channel]))
            for scenario, times in programme.items()
            for channel in channels_of(scenario, times)
        ]
        for scenario, play in cues:
            self.plays.setdefault(scenario, []).append(play)
        random.shuffle(cues)
        by_day = [cue for cue in cues if not cue[0].ends_the_day]
        at_its_end = [cue for cue in cues if cue[0].ends_the_day]
        return sorted(by_day, key=lambda cue: not cue[0].waits), at_its_end

    async def _begin(self, scenario: Scenario, play: Play) -> "asyncio.Task[None]":
        if scenario.waits:
            return asyncio.create_task(self._play(scenario, play))
        await self._places.acquire()
        task = asyncio.create_task(self._play(scenario, play))
        task.add_done_callback(lambda _: self._places.release())
        return task

    async def _play(self, scenario: Scenario, play: Play) -> None:
        """Play one story and wait for what it expects; what goes wrong is kept as what was seen of it."""
        play.failure = None
        try:
            await scenario.story(play)
            await play.until_come_out()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs into the table
            play.failure = reason_of(error)
        else:
            self.on_done()
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._patience)


async def sell_goods(world: World, count: int, rate: float, on_sold: Callable[[], None]) -> list[str]:
    """Order and pay goods in both channels, so many a second; return the ids of these orders."""
    sold: list[str] = []
    async with asyncio.TaskGroup() as customers:
        async for number in paced(rate, count):
            channel = world.channels["pos" if number % 2 else "im"]
            order = goods_order(channel.name, f"{channel.name.upper()}-{world.run}-G{number}")
            sold.append(order.order_id)
            buying = _buy_goods(Play(world, channel), order)
            customers.create_task(buying).add_done_callback(lambda _: on_sold())
    return sold


async def _buy_goods(play: Play, order: Order) -> None:
    await asyncio.gather(
        play.write_order(order_created(order)), play.write_payment(payment_authorized(order))
    )
    await play.write_payment(payment_captured(order))

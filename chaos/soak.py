"""Half an hour at 70 % of what the stack can do: memory must come to rest.

Customers first come as fast as they are served, which shows what the stack can do, then at 70 % of it. Each minute the
memory of every part is printed; after the first third, in which caches fill, it is judged by its slope.
"""

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import linear_regression
from time import monotonic

from chaos.customers import Customer
from chaos.faults import PARTS
from chaos.overload import memory_of
from chaos.partners import Partners, open_partners
from chaos.play import DIRECT_SPENDING, Run
from chaos.recording import Recording
from chaos.stage import SERVERS, Stage, set_up
from chaos.stories import STORIES

SHARE = 0.7
PROBE_SECONDS, PROBE_AT_ONCE = 30, 24
LOOKS_A_MINUTE = 6
WARM_UP = 1 / 3
MOST_GROWTH_MB = 24
"""Between the end of the warm-up and the end of half an hour, in a process of ours."""
SOAK_MINUTES = 30


@dataclass(slots=True)
class Memory:
    """The memory of each part in MB, looked at a few times a minute."""

    stage: Stage
    seen: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    async def watch(self) -> None:
        """Look for ever, and print a line each minute."""
        began, looks = monotonic(), 0
        while True:
            for part in (*PARTS, *SERVERS):
                minute = (monotonic() - began) / 60
                self.seen.setdefault(part, []).append((minute, memory_of(self.stage, part)))
            if looks % LOOKS_A_MINUTE == 0:
                now = ", ".join(f"{part} {looked[-1][1]}" for part, looked in self.seen.items())
                print(f"{looks // LOOKS_A_MINUTE:3} min: memory in MB: {now}", flush=True)
            looks += 1
            await asyncio.sleep(60 / LOOKS_A_MINUTE)


async def play(options: Namespace) -> tuple[Recording, list[str]]:
    """Trade without a fault; return the run, and a line for each process of ours whose memory grows."""
    async with (
        set_up(DIRECT_SPENDING, pool=options.certificates, with_tools=False) as stage,
        open_partners(stage) as partners,
    ):
        most = await _probe(partners)
        options.pace = options.pace or most * SHARE
        options.sales = round(options.pace * options.minutes * 60)
        options.faults = []
        print(
            f"{most:.1f} customers a second are served at most; {options.pace:.1f} come from now on",
            flush=True,
        )
        memory = Memory(stage)
        watching = asyncio.create_task(memory.watch())
        try:
            recording = await Run(stage, partners, options).play()
        finally:
            watching.cancel()
    return recording, [line for part in PARTS if (line := growth(part, memory.seen[part]))]


async def _probe(partners: Partners) -> float:
    """Return how many customers a second are served, if as many come as go."""
    served, until, stories = 0, monotonic() + PROBE_SECONDS, list(STORIES.values())

    async def keep_coming(number: int) -> None:
        nonlocal served
        while monotonic() < until:
            story = stories[number % len(stories)]
            await story(Customer(partners, ("im", "pos")[number % 2]))
            number += PROBE_AT_ONCE
            served += 1

    async with asyncio.TaskGroup() as customers:
        for number in range(PROBE_AT_ONCE):
            customers.create_task(keep_coming(number))
    return served / PROBE_SECONDS


def growth(part: str, seen: Sequence[tuple[float, int]]) -> str | None:
    """Return a line if a part's memory rises after the warm-up by more in half an hour than it may.

    ``seen`` are minutes since the beginning, and MB.
    """
    last = seen[-1][0]
    settled = [(minute, memory) for minute, memory in seen if minute >= last * WARM_UP]
    if len(settled) < 3:
        return f"{part}: too few looks to say how its memory grows"
    slope = linear_regression(*zip(*settled, strict=True)).slope
    in_all = slope * SOAK_MINUTES * (1 - WARM_UP)
    print(
        f"{part}: {settled[0][1]} MB after the warm-up, {settled[-1][1]} MB at the end, {slope:+.2f} MB a minute"
    )
    if in_all <= MOST_GROWTH_MB:
        return None
    return f"{part}: memory grows by {slope:.2f} MB a minute"

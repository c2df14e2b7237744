"""How the simulators run: at a pace, until done or interrupted."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Coroutine
from itertools import count, islice
from time import monotonic
from uuid import uuid4

from simulators.addresses import CommandError
from simulators.topics import BrokerUnreachableError


def number_of_run() -> str:
    """Return a short name for this run, so that its orders are told from those of another."""
    return uuid4().hex[:6]


async def paced(rate: float, limit: int | None = None) -> AsyncIterator[int]:
    """Yield 1, 2, 3, ... so many a second on average, catching up after a delay; without a limit for ever."""
    started = monotonic()
    for number in islice(count(1), limit):
        due = started + (number - 1) / rate
        await asyncio.sleep(max(0.0, due - monotonic()))
        yield number


def run(program: Coroutine[None, None, None]) -> None:
    """Run a program; Ctrl-C ends it quietly, a refused token with one line."""
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(program)
    except (CommandError, BrokerUnreachableError) as error:
        sys.exit(str(error))

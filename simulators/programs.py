"""How the simulators run: at a pace, until done or interrupted."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from itertools import count, islice
from time import monotonic
from uuid import uuid4

import httpx
from aiokafka.errors import KafkaError

from simulators.addresses import Addresses, CommandError
from simulators.service import RefusedError
from simulators.topics import BrokerUnreachableError


def number_of_run() -> str:
    """Return a short name for this run, so that its orders are distinct from those of another."""
    return uuid4().hex[:6]


async def paced(rate: float, limit: int | None = None) -> AsyncIterator[int]:
    """Yield 1, 2, 3, ... so many a second on average, catching up after a delay; without a limit for ever."""
    started = monotonic()
    for number in islice(count(1), limit):
        due = started + (number - 1) / rate
        await asyncio.sleep(max(0.0, due - monotonic()))
        yield number


def reason_of(error: BaseException) -> str:
    """Return in words what went wrong, for people: the name of a class says nothing to them."""
    said = " ".join(str(error).split())
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return "there was no answer in time"
        case httpx.TransportError():
            return f"the API does not answer: {said}"
        case KafkaError():
            return f"Kafka does not serve us: {said}"
        case KeyError():
            return f"nothing is known of {said}"
        case _:
            return said or "it failed without saying why"


def run(program: Callable[[Addresses], Coroutine[None, None, None]]) -> None:
    """Run a program on the service; Ctrl-C ends it quietly, what keeps it from its work with one line."""

    async def begin() -> None:
        await program(await Addresses.found())

    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(begin())
    except (CommandError, BrokerUnreachableError, RefusedError, httpx.TransportError, KafkaError) as error:
        sys.exit(reason_of(error))

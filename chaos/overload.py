"""Ten times of what the API can answer: what is too much must be refused fast, and all be well soon afterwards.

Callers reserve and redeem in turn. First a few of them show what the API can do; then ten times as many requests come a
second, however slowly they are answered; then the few again, until they are served as at first.
"""

import asyncio
import json
import subprocess
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from time import monotonic
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.stack import token_of
from chaos.customers import Customer, Sale
from chaos.load import Load
from chaos.partners import PRODUCT, Partners, open_partners
from chaos.stage import Stage, set_up
from simulators.service import Disclosure

TIMES = 10
CARDS = 120
"""Certificates that pay; each is held some dozens of times."""
FIRST_SECONDS, OVERLOAD_SECONDS, LOOK_SECONDS = 8, 20, 4
RECOVERY_SECONDS = 30
MOST_MILLISECONDS = 2_000
MOST_MEMORY_MB = 300
SHED = frozenset({"429", "503"})
_EXPECTED = frozenset({"200", "201", *SHED})


@dataclass(frozen=True, slots=True)
class Window:
    """How requests of some seconds were answered; times are milliseconds, half and 99 of 100 took at most so long."""

    rate: float
    statuses: dict[str, int]
    served: tuple[float, float]
    shed: tuple[float, float]
    unsent: int
    broken: int

    @property
    def line(self) -> str:
        """What was seen, in words."""
        counts = ", ".join(f"{number:,} of {status}" for status, number in sorted(self.statuses.items()))
        refused = (
            f"; refused p50 {self.shed[0]:,.0f} ms, p99 {self.shed[1]:,.0f} ms" if any(self.shed) else ""
        )
        served = f"served {self.rate:,.0f}/s, p50 {self.served[0]:,.0f} ms, p99 {self.served[1]:,.0f} ms"
        return f"{counts}; {served}{refused}"


async def play(options: Namespace) -> list[str]:
    """Overload a stack of its own; return what was not as it must be, a line each."""
    pool = options.certificates
    async with set_up({"GIFTCERT_API_DRAIN": "PT0S"}, pool=pool, with_tools=False) as stage:
        async with open_partners(stage) as partners:
            requests = [*_requests(stage, await _cards(partners))]
        first = await _window(stage, requests, FIRST_SECONDS)
        print(f"as it is served by itself: {first.line}", flush=True)
        async with _watched_memory(stage) as memory:
            overload = await _window(stage, requests, OVERLOAD_SECONDS, first.rate * TIMES)
        print(
            f"{TIMES} times as much: {overload.line}; memory {memory[0]} MB, at most {max(memory)} MB",
            flush=True,
        )
        recovered = await _recovery(stage, requests, first)
    return [*faults_of(first, overload, memory), *recovered]


async def _cards(partners: Partners) -> list[Disclosure]:
    places = asyncio.Semaphore(16)

    async def buy(number: int) -> Disclosure:
        async with places:
            customer = Customer(partners, ("im", "pos")[number % 2])
            sale: Sale = await customer.buy()
            return await customer.letter(sale)

    return await asyncio.gather(*map(buy, range(CARDS)))


def _requests(stage: Stage, cards: Sequence[Disclosure]) -> Iterator[str]:
    """Yield requests to send in turn: a reservation, then a hold of some money."""
    token = token_of(stage.stack.environment, "channel")
    head = f"HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {{n}}\r\n"
    for card in cards:
        yield f"GET /certificates/next?channel=im&product={PRODUCT} {head}\r\n"
        wanted = {"channel": "im", "orderId": "IM-1", "amount": {"amount": 100, "currency": "RUB"}}
        body = json.dumps(wanted | {"number": card.number, "cvc": card.cvc})
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        yield f"POST /redemptions {head}{kind}\r\n{body}"


async def _window(stage: Stage, requests: Sequence[str], seconds: float, rate: float = 0) -> Window:
    """Put load on the API from a process of its own."""
    address = urlsplit(stage.stack.api_url)
    load = Load(address.hostname or "", address.port or 0, requests, seconds, rate, uuid4().hex[:12])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos.load"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate(json.dumps(asdict(load)).encode())
    said = json.loads(output)
    statuses = Counter(said["statuses"])
    return Window(
        rate=sum(number for status, number in statuses.items() if status.startswith("2")) / seconds,
        statuses=dict(statuses),
        served=said["served"],
        shed=said["shed"],
        unsent=said["unsent"],
        broken=said["broken"],
    )


@asynccontextmanager
async def _watched_memory(stage: Stage) -> AsyncIterator[list[int]]:
    """Yield the API's memory in MB, first as it is now, then what is seen while the context lasts."""
    seen = [memory_of(stage, "api")]

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.25)
            seen.append(memory_of(stage, "api"))

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()


def memory_of(stage: Stage, part: str) -> int:
    """Return the resident memory of a part's processes, in MB."""
    processes = stage.processes(part)
    return sum(process.memory_info().rss for process in processes) >> 20


async def _recovery(stage: Stage, requests: Sequence[str], first: Window) -> list[str]:
    """Ask as at first until it is answered as at first."""
    began = monotonic()
    while monotonic() < began + RECOVERY_SECONDS:
        now = await _window(stage, requests, LOOK_SECONDS)
        took = monotonic() - began
        print(f"{took:.0f} s later: {now.line}", flush=True)
        is_well = now.rate > first.rate / 2 and now.served[1] < 2 * first.served[1] + 100
        if is_well and not SHED & now.statuses.keys():
            return []
    return [f"not recovered within {RECOVERY_SECONDS} s"]


def faults_of(first: Window, overload: Window, memory: Sequence[int]) -> list[str]:
    """Return in what an overload was not as it must be; ``memory`` is the API's in MB, first as it was before."""
    faults = [
        f"{number:,} answers {status}"
        for window in (first, overload)
        for status, number in window.statuses.items()
        if status not in _EXPECTED
    ]
    if not SHED & overload.statuses.keys():
        faults.append("nothing was refused")
    for what, (_, p99) in {"served": overload.served, "refused": overload.shed}.items():
        if p99 > MOST_MILLISECONDS:
            faults.append(f"99 of 100 were {what} within {p99:,.0f} ms, not {MOST_MILLISECONDS:,}")
    if overload.broken or overload.unsent:
        faults.append(f"{overload.broken:,} got no answer, {overload.unsent:,} no connection")
    if max(memory) - memory[0] > MOST_MEMORY_MB:
        faults.append(f"memory grew by {max(memory) - memory[0]} MB, more than {MOST_MEMORY_MB}")
    return faults

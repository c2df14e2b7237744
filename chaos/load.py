"""Load on the API with little work of its own: ``python -m chaos.load`` reads a JSON object and prints one.

With a rate, requests come at that rate however slowly they are answered, as buyers do; without one, a few callers ask
again as soon as they are answered.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import quantiles
from time import perf_counter
from typing import Any, cast

import uvloop

MOST_CONNECTIONS = 4_000
_TICK_SECONDS = 0.002
_PATIENCE_SECONDS = 15
_FEW_CALLERS = 16


@dataclass(frozen=True, slots=True)
class Load:
    """What to ask, in turn: whole requests, in which ``{n}`` becomes a number that no other request has."""

    host: str
    port: int
    requests: Sequence[str]
    seconds: float
    rate: float = 0
    seed: str = ""


@dataclass(slots=True)
class Answers:
    """How requests were answered; ``unsent`` found no free connection, ``broken`` lost theirs or waited too long."""

    statuses: Counter[str] = field(default_factory=Counter)
    served: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    unsent: int = 0
    broken: int = 0

    def summary(self) -> dict[str, Any]:
        """Return all of it in a few figures."""
        return {
            "statuses": dict(self.statuses),
            "served": milliseconds(self.served),
            "shed": milliseconds(self.shed),
            "unsent": self.unsent,
            "broken": self.broken,
        }


class _Connection(asyncio.Protocol):
    """One request at a time; the reply is known to have ``Content-Length``."""

    def __init__(self, answers: Answers, is_free: Callable[["_Connection"], None]) -> None:
        self._answers, self._is_free = answers, is_free
        self._buffer = b""
        self._asked_at: float | None = None
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    def connection_lost(self, _: Exception | None) -> None:
        self.is_open = False
        if self._asked_at is not None:
            self._answers.broken += 1

    def ask(self, request: str, asked_at: float) -> None:
        self._asked_at = asked_at
        self._transport.write(request.encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head) or self._asked_at is None:
            return
        status, took = head[9:12].decode(), perf_counter() - self._asked_at
        self._answers.statuses[status] += 1
        (self._answers.shed if status in {"429", "503"} else self._answers.served).append(took)
        self._buffer, self._asked_at = b"", None
        if b"connection: close" in head.lower():
            self._transport.close()
        self._is_free(self)

    def leave(self) -> None:
        """Close the connection."""
        self._asked_at = None
        if self.is_open:
            self._transport.close()

    @property
    def waits(self) -> bool:
        return self._asked_at is not None


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


@dataclass(slots=True)
class _Callers:
    load: Load
    answers: Answers = field(default_factory=Answers)
    free: list[_Connection] = field(default_factory=list)
    all: list[_Connection] = field(default_factory=list)
    opening: set[asyncio.Task[None]] = field(default_factory=set)
    numbers: "count[int]" = field(default_factory=count)

    async def run(self) -> Answers:
        """Put the load on the server, and wait some seconds for what is under way."""
        end = perf_counter() + self.load.seconds
        await (self._at_a_rate(end) if self.load.rate else self._a_few(end))
        until = perf_counter() + _PATIENCE_SECONDS
        while any(one.waits for one in self.all) and perf_counter() < until:  # noqa: ASYNC110 - of many
            await asyncio.sleep(0.05)
        self.answers.broken += sum(one.waits for one in self.all)
        return self.answers

    async def _at_a_rate(self, end: float) -> None:
        began, sent = perf_counter(), 0
        while (now := perf_counter()) < end:
            for _ in range(int((now - began) * self.load.rate) - sent):
                sent += 1
                self._send(now)
            await asyncio.sleep(_TICK_SECONDS)

    def _send(self, now: float) -> None:
        while self.free:
            connection = self.free.pop()
            if connection.is_open:
                connection.ask(self._next(), now)
                return
        if len(self.all) >= MOST_CONNECTIONS:
            self.answers.unsent += 1
            return
        task = asyncio.create_task(self._open(now, self.free.append))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def _a_few(self, end: float) -> None:
        def again(connection: _Connection) -> None:
            if perf_counter() < end:
                connection.ask(self._next(), perf_counter())

        await asyncio.gather(*(self._open(perf_counter(), again) for _ in range(_FEW_CALLERS)))
        await asyncio.sleep(end - perf_counter())

    async def _open(self, now: float, is_free: Callable[[_Connection], None]) -> None:
        connection = _Connection(self.answers, is_free)
        self.all.append(connection)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection, self.load.host, self.load.port
            )
        except OSError:
            self.answers.broken += 1
        else:
            connection.ask(self._next(), now)

    def _next(self) -> str:
        number = next(self.numbers)
        requests = self.load.requests
        return requests[number % len(requests)].replace("{n}", f"{self.load.seed}{number:x}")


def milliseconds(times: Sequence[float]) -> tuple[float, float]:
    """Return what half and 99 of 100 took at most; zeros where there are none."""
    if len(times) < 2:
        return 0.0, 0.0
    cuts = quantiles(times, n=100)
    return round(cuts[49] * 1000, 1), round(cuts[98] * 1000, 1)


async def put(load: Load) -> Answers:
    """Put a load on a server, and return how it answered."""
    callers = _Callers(load)
    try:
        return await callers.run()
    finally:
        for connection in callers.all:
            connection.leave()


if __name__ == "__main__":
    print(json.dumps(uvloop.run(put(Load(**json.load(sys.stdin)))).summary()))

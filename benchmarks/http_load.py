"""Keep-alive connections that ask as fast as they are answered, with as little work of their own as possible.

``python -m benchmarks.http_load``: reads one JSON object from standard input, prints one.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from statistics import quantiles

import uvloop


@dataclass(frozen=True)
class Load:
    """What to ask; ``{n}`` in the request becomes a number that no other request has.

    ``bodies`` is a file with a body on each line, which the connections share out among themselves; over and over.
    """

    host: str
    port: int
    request: str
    seconds: float
    connections: int = 16
    seed: str = ""
    bodies: str | None = None


@dataclass(frozen=True)
class Rate:
    """Answers per second, and the milliseconds that half and 99 of 100 took at most."""

    rate: float
    p50: float
    p99: float


class _Connection(asyncio.Protocol):
    """One request at a time; the reply is known to have ``Content-Length``."""

    def __init__(self, load: Load, times: list[float], number: int, bodies: list[str]) -> None:
        self.load = load
        self.times = times
        self.count = number << 40
        self.bodies = cycle(bodies)
        self.buffer = b""
        self.done = asyncio.get_running_loop().create_future()
        self.stop_at = time.perf_counter() + load.seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            self.done.set_exception(RuntimeError(self.buffer.decode()))
            return
        self.buffer = b""
        now = time.perf_counter()
        self.times.append(now - self.asked_at)
        if now < self.stop_at:
            self._ask()
        else:
            self.done.set_result(None)

    def _ask(self) -> None:
        self.count += 1
        self.asked_at = time.perf_counter()
        number = f"{self.load.seed}{self.count:x}"
        request = self.load.request.replace("{n}", number) + next(self.bodies)
        self.transport.write(request.encode())  # type: ignore[attr-defined]


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


async def run(load: Load) -> Rate:
    """Put the load on the server."""
    times: list[float] = []
    loop = asyncio.get_running_loop()
    bodies = _bodies(load)
    connections = [
        _Connection(load, times, number, bodies[number :: load.connections])
        for number in range(load.connections)
    ]
    began = time.perf_counter()
    for connection in connections:
        await loop.create_connection(lambda connection=connection: connection, load.host, load.port)
    await asyncio.gather(*(connection.done for connection in connections))
    cuts = quantiles(times, n=100)
    return Rate(len(times) / (time.perf_counter() - began), cuts[49] * 1000, cuts[98] * 1000)


def _bodies(load: Load) -> list[str]:
    """Return the bodies with the headers that they need; they follow the request's own headers."""
    if load.bodies is None:
        return ["\r\n"] * load.connections
    bodies = Path(load.bodies).read_text().splitlines()
    head = "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}"
    return [head.format(len(body), body) for body in bodies]


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(run(Load(**json.load(sys.stdin)))))))

"""What other callers notice, and the memory of the API, under each kind of attack: ``python -m benchmarks.attacks``."""

import asyncio
import json
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles

import psutil

from benchmarks import reservations
from benchmarks.http_stack import CHANNEL, api_process, authorization, prepare
from benchmarks.measurement import new_folder, servers
from giftcert.storage.migrate import migrate

SECONDS = 4.0
UNTIL_CLOSED_SECONDS = 12.0
"""Longer than the API waits for a request, so that one sees it give up."""
CALLERS, PAUSE_SECONDS = 4, 0.01
POOL = 20_000
PIECE = bytes(256 * 1024).replace(b"\0", b"x")
PUSHED = 50_000_000
HEAD = b"HTTP/1.1\r\nHost: x\r\n"


@dataclass(frozen=True)
class Outcome:
    """Milliseconds that 99 of 100 calls of others took at most, how many failed, and the most memory in MB."""

    p99: float
    failed: int
    memory: int
    attacker: str


# The attackers, each in a process of its own -------------------------------------------------------


def long_header(port: int) -> str:
    """A header line of 50 MB."""
    return _pushed(port, b"GET /healthz " + HEAD + b"x: ", PIECE)


def many_headers(port: int) -> str:
    """Millions of headers."""
    return _pushed(port, b"GET /healthz " + HEAD, b"a: b\r\n" * 10_000)


def long_trailer(port: int) -> str:
    """A trailer of 50 MB behind a body in chunks."""
    return _pushed(port, b"POST /reservations " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: ", PIECE)


def large_body(port: int) -> str:
    """A body of 50 MB without a token."""
    return _pushed(port, b"POST /reservations " + HEAD + b"Content-Length: 50000000\r\n\r\n", PIECE)


def pipelining(port: int) -> str:
    """Twenty connections with 13,000 requests each that wait for no answer."""
    connections = [_connection(port) for _ in range(20)]
    for one in connections:
        one.settimeout(0.5)
        with suppress(OSError):
            one.sendall(b"GET /x HTTP/1.1\r\n\r\n" * 13_000)
    time.sleep(SECONDS)
    return _closed(connections)


def idle(port: int) -> str:
    """2,000 connections that send nothing."""
    connections = [_connection(port) for _ in range(2_000)]
    time.sleep(UNTIL_CLOSED_SECONDS)
    return _closed(connections)


def slow(port: int) -> str:
    """200 connections that send a few bytes of a request at a time."""
    connections = [_connection(port) for _ in range(200)]
    for one in connections:
        one.sendall(b"GET /healthz HTTP/1.1\r\n")
    end = time.monotonic() + UNTIL_CLOSED_SECONDS
    while time.monotonic() < end:
        for one in connections:
            with suppress(OSError):
                one.sendall(b"a: b\r\n")
        time.sleep(0.2)
    return _closed(connections)


ATTACKS: Mapping[str, Callable[[int], str]] = {
    one.__name__: one for one in (long_header, many_headers, long_trailer, large_body, pipelining, idle, slow)
}


def _connection(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(30)
    return connection


def _pushed(port: int, begin: bytes, piece: bytes) -> str:
    connection, sent = _connection(port), 0
    with suppress(OSError):
        connection.sendall(begin)
        while sent < PUSHED:
            connection.sendall(piece)
            sent += len(piece)
    try:
        answer = connection.recv(65_536).partition(b"\r\n")[0].decode() or "closed"
    except OSError as error:
        answer = type(error).__name__
    return f"{answer} after {sent / 1e6:.1f} MB"


def _closed(connections: list[socket.socket]) -> str:
    poll = select.poll()
    for one in connections:
        poll.register(one, select.POLLIN)
    return f"{len(poll.poll(0)):,} of {len(connections):,} answered or closed"


# The other callers ---------------------------------------------------------------------------------


async def _call(port: int, request: bytes, times: list[float], failures: list[BaseException]) -> None:
    """Ask for ever on one connection, with a pause between, and begin anew where it breaks."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                began = time.perf_counter()
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
                assert head.startswith(b"HTTP/1.1 200"), head
                times.append(1_000 * (time.perf_counter() - began))
                await asyncio.sleep(PAUSE_SECONDS)
        except (OSError, EOFError, AssertionError) as error:
            failures.append(error)


async def _watch(api: psutil.Process, memory: list[int]) -> None:
    while True:
        memory.append(api.memory_info().rss)
        await asyncio.sleep(0.02)


async def _attack(name: str | None, port: int) -> str:
    """Return what came of an attacker, or after a while without one that there was none."""
    if name is None:
        await asyncio.sleep(SECONDS)
        return "nothing"
    command = [sys.executable, "-m", "benchmarks.attacks", name, str(port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    await asyncio.sleep(1)
    return output.decode().strip()


async def _under(attack: str | None, port: int, request: bytes, api: psutil.Process) -> Outcome:
    times: list[float] = []
    failures: list[BaseException] = []
    memory: list[int] = []
    tasks = [asyncio.create_task(_call(port, request, times, failures)) for _ in range(CALLERS)]
    tasks.append(asyncio.create_task(_watch(api, memory)))
    said = await _attack(attack, port)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return Outcome(round(quantiles(times, n=100)[-1], 1), len(failures), max(memory) >> 20, said)


async def _all(port: int, request: bytes, api: psutil.Process) -> dict[str, Outcome]:
    outcomes = {}
    for attack in (None, *ATTACKS):
        name = attack or "none"
        outcomes[name] = await _under(attack, port, request, api)
        print(f"{name}: {outcomes[name]}", file=sys.stderr, flush=True)
    return outcomes


def main() -> None:
    """Attack as the first argument says, or else print what others notice of every attack."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8_192, hard), hard))
    if len(sys.argv) > 1:
        print(ATTACKS[sys.argv[1]](int(sys.argv[2])))
        return
    with new_folder() as folder, servers(folder, "postgres") as addresses:
        _measure(folder, addresses["database_url"], addresses["database_owner_url"])


def _measure(folder: Path, url: str, owner_url: str) -> None:
    migrate(owner_url)
    settings = prepare(url, folder)
    asyncio.run(reservations.fill(settings, owner_url, POOL))
    path = f"/certificates/next?channel={CHANNEL}&product={reservations.PRODUCT.id}"
    lines = [f"GET {path} HTTP/1.1", "Host: x", authorization(settings), "", ""]
    unbounded = {"GIFTCERT_RESERVATION_CAP": "10000000", "GIFTCERT_RESERVATION_SHARE": "1"}
    with api_process(url, folder, unbounded) as (port, pid):
        outcomes = asyncio.run(_all(port, "\r\n".join(lines).encode(), psutil.Process(pid)))
        print(json.dumps({name: asdict(one) for name, one in outcomes.items()}, indent=1))


if __name__ == "__main__":
    main()

"""What goes wrong on purpose: processes are killed and frozen, connections cut, clocks moved, the disk filled.

Each fault lasts for some seconds and mends what it broke, also when it is interrupted.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TypeAlias

import psutil

from benchmarks.stack import GIFTCERT
from chaos.ports import free_port
from chaos.proxies import Proxies
from chaos.stage import SERVERS, Stage

PARTS = ("worker", "ingest", "dispatch", "api")
CLOCK_SECONDS = 30
SLOW_MILLISECONDS, JITTER_MILLISECONDS = 150, 100
_MIB = 1 << 20
_AFTER_THE_PROCESS = 5.0  # seconds that a part has to end or to come back

Inject: TypeAlias = Callable[[Stage, Random], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure, as progress and totals call it; ``needs`` is what it takes beyond the stack (``Stage.can``)."""

    description: str
    inject: Inject
    needs: str | None = None


def all_faults(seconds: float, frozen: float) -> Mapping[str, Fault]:
    """Return every fault under the name that ``--faults`` takes; each lasts ``seconds``, a freeze ``frozen``."""
    faults = {}
    for part in PARTS:
        faults[f"{part}-killed"] = Fault(f"{part} killed with signal 9", partial(_kill, parts=(part,)))
        faults[f"{part}-frozen"] = Fault(
            f"{part} frozen for {seconds:g} s", partial(_freeze, part=part, seconds=seconds)
        )
        faults[f"{part}-joins"] = Fault(
            f"another {part} comes, and goes again", partial(_join, part=part, seconds=seconds)
        )
    faults["all-killed"] = Fault("all four killed at once with signal 9", partial(_kill, parts=PARTS))
    for server in SERVERS:
        faults[f"{server}-away"] = Fault(
            f"{server} away for {seconds:g} s", partial(_keep_away, part=server, seconds=seconds)
        )
        faults[f"{server}-frozen"] = Fault(
            f"{server} frozen for {frozen:g} s", partial(_freeze, part=server, seconds=frozen)
        )
    faults["temporal-then-postgres"] = Fault(
        "temporal frozen, then postgres away", partial(_one_after_the_other, seconds=seconds)
    )
    for part in (*SERVERS, "api"):
        faults |= _of_the_network(part, seconds)
    for ahead in (CLOCK_SECONDS, -CLOCK_SECONDS):
        faults[f"clock-{'ahead' if ahead > 0 else 'behind'}"] = Fault(
            f"the clock of the service {ahead:+d} s for {seconds:g} s",
            partial(_move_clock, ahead=ahead, seconds=seconds),
            "clock",
        )
    faults["disk-full"] = Fault(
        f"the disk of the servers full for {seconds:g} s", partial(_fill_disk, seconds=seconds), "disk"
    )
    return faults


def _of_the_network(part: str, seconds: float) -> Iterator[tuple[str, Fault]]:
    def fault(description: str, strike: Callable[[Proxies], Awaitable[None]]) -> Fault:
        inject = partial(_disturb_network, strike=strike, seconds=seconds)
        return Fault(f"{description} for {seconds:g} s", inject, "network")

    slow = {"latency": SLOW_MILLISECONDS, "jitter": JITTER_MILLISECONDS}
    yield f"{part}-cut-off", fault(f"{part} cut off", lambda proxies: proxies.refuse(part))
    yield (
        f"{part}-silent",
        fault(
            f"{part} reached, but no byte passes", lambda proxies: proxies.poison(part, "timeout", timeout=0)
        ),
    )
    yield (
        f"{part}-slow",
        fault(
            f"{part} slow by {SLOW_MILLISECONDS} ms each way",
            lambda proxies: proxies.poison(part, "latency", **slow),
        ),
    )
    yield (
        f"{part}-reset",
        fault(f"connections to {part} reset", lambda proxies: proxies.poison(part, "reset_peer", timeout=50)),
    )


# Processes -----------------------------------------------------------------------------------------


async def _kill(stage: Stage, _: Random, parts: tuple[str, ...]) -> None:
    """End parts at once; the stack starts others."""
    for part in parts:
        _kill_at_once(stage, part)
    await asyncio.sleep(_AFTER_THE_PROCESS)


async def _keep_away(stage: Stage, _: Random, part: str, seconds: float) -> None:
    """End a part as often as the stack starts another, so that whoever calls it is refused for a while."""
    for _look in range(round(seconds / 0.1)):
        _kill_at_once(stage, part)
        await asyncio.sleep(0.1)


async def _freeze(stage: Stage, _: Random, part: str, seconds: float) -> None:
    """Stop a part for a while without ending it."""
    frozen = [
        one for process in stage.processes(part) for one in (process, *process.children(recursive=True))
    ]
    try:
        for process in frozen:
            process.suspend()
        await asyncio.sleep(seconds)
    finally:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


async def _one_after_the_other(stage: Stage, random: Random, seconds: float) -> None:
    """Have PostgreSQL go just when the workflows have much to catch up on."""
    await _freeze(stage, random, "temporal", seconds)
    await asyncio.sleep(0.2)
    await _keep_away(stage, random, "postgres", seconds)


async def _join(stage: Stage, random: Random, part: str, seconds: float) -> None:
    """Have another process of a part work beside the others for a while; it goes in order, or is killed."""
    port = free_port()
    own = {"GIFTCERT_METRICS_PORT": "0"} if part == "api" else {"GIFTCERT_METRICS_PORT": str(port)}
    environment = {**stage.stack.environment, **own, "GIFTCERT_API_PORT": str(port)}
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *GIFTCERT, part, env=environment, stdout=silent, stderr=silent
    )
    with _asked_too(stage, f"http://127.0.0.1:{port}" if part == "api" else None):
        try:
            await asyncio.sleep(seconds)
        finally:
            process.send_signal(random.choice((signal.SIGTERM, signal.SIGKILL)))
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _AFTER_THE_PROCESS + 5)
            if process.returncode is None:
                process.kill()


@contextmanager
def _asked_too(stage: Stage, api: str | None) -> Iterator[None]:
    if api is None:
        yield
        return
    stage.apis.append(api)
    try:
        yield
    finally:
        stage.apis.remove(api)


def _kill_at_once(stage: Stage, part: str) -> None:
    for process in stage.processes(part):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


# Network, clock and disk ---------------------------------------------------------------------------


async def _disturb_network(
    stage: Stage, _: Random, strike: Callable[[Proxies], Awaitable[None]], seconds: float
) -> None:
    proxies = stage.having(stage.proxies)
    try:
        await strike(proxies)
        await asyncio.sleep(seconds)
    finally:
        await proxies.heal()


async def _move_clock(stage: Stage, _: Random, ahead: int, seconds: float) -> None:
    """Have the service's processes live some seconds ahead of the servers, or behind."""
    clock = stage.having(stage.clock)
    try:
        clock.write_text(f"{ahead:+d}")
        await asyncio.sleep(seconds)
    finally:
        clock.write_text("+0")


async def _fill_disk(stage: Stage, _: Random, seconds: float) -> None:
    """Take all the room that PostgreSQL, Kafka and Temporal have left, and again what comes free meanwhile."""
    filling = stage.having(stage.disk) / "filling"
    try:
        with filling.open("ab", buffering=0) as file:
            for _look in range(round(seconds / 0.1)):
                _take_all(file.fileno())
                await asyncio.sleep(0.1)
    finally:
        filling.unlink(missing_ok=True)


def _take_all(file: int) -> None:
    for piece in (64 * _MIB, _MIB, 4096):
        with suppress(OSError):
            while True:
                os.posix_fallocate(file, os.fstat(file).st_size, piece)

"""What goes wrong on purpose: parts of a running stack are killed, kept away and frozen."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import psutil

from benchmarks.stack import Stack

PARTS = ("worker", "ingest", "dispatch", "api")
SERVERS = ("postgres", "kafka", "temporal")
BETWEEN_SECONDS = 6
AWAY_SECONDS = 10
FROZEN_SECONDS = 20

Inject: TypeAlias = Callable[[Stack], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure, as the table calls it."""

    description: str
    inject: Inject


def all_faults(frozen_seconds: float) -> Mapping[str, Fault]:
    """Return every fault under the name that ``--faults`` takes, in the order in which they come."""
    faults = {
        f"{part}-killed": Fault(f"{part} killed with signal 9", partial(_kill, part=part)) for part in PARTS
    }
    for server in SERVERS:
        inject = partial(_keep_away, part=server, seconds=AWAY_SECONDS)
        faults[f"{server}-away"] = Fault(f"{server} away for {AWAY_SECONDS} s", inject)
    faults["temporal-then-postgres"] = Fault(
        f"temporal frozen, then postgres away, {AWAY_SECONDS} s each", _one_after_the_other
    )
    for server in SERVERS:
        seconds = frozen_seconds if server == "temporal" else FROZEN_SECONDS
        inject = partial(_freeze, part=server, seconds=seconds)
        faults[f"{server}-frozen"] = Fault(f"{server} frozen for {seconds:g} s", inject)
    return faults


async def _kill(stack: Stack, part: str) -> None:
    """End a part at once; the stack starts another."""
    _kill_at_once(stack, part)
    await asyncio.sleep(BETWEEN_SECONDS)


async def _keep_away(stack: Stack, part: str, seconds: float) -> None:
    """End a part as often as the stack starts another, so that whoever calls it is refused for a while."""
    for _ in range(round(seconds / 0.1)):
        _kill_at_once(stack, part)
        await asyncio.sleep(0.1)


async def _freeze(stack: Stack, part: str, seconds: float) -> None:
    """Stop a part for a while without ending it."""
    frozen = [
        one for process in _processes(stack, part) for one in (process, *process.children(recursive=True))
    ]
    for process in frozen:
        process.suspend()
    await asyncio.sleep(seconds)
    for process in frozen:
        process.resume()


async def _one_after_the_other(stack: Stack) -> None:
    """Have PostgreSQL go just when the workflows have much to catch up on."""
    await _freeze(stack, "temporal", AWAY_SECONDS)
    await asyncio.sleep(0.2)
    await _keep_away(stack, "postgres", AWAY_SECONDS)


def _kill_at_once(stack: Stack, part: str) -> None:
    for process in _processes(stack, part):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def _processes(stack: Stack, part: str) -> list[psutil.Process]:
    """Return the running processes of a part, as the stack wrote them down."""
    found = []
    for path in Path(stack.folder, "run").glob(f"{part}.*.json"):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            found.append(psutil.Process(json.loads(path.read_text())["pid"]))
    return found

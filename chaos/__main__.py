"""Kill each part in the middle of running sales, take each server away for a while, and see that no sale is lost.

``python -m chaos``: starts a whole stack, sells at a steady pace, kills our parts with signal 9 in turn, keeps each
of PostgreSQL, Kafka and Temporal down for a while, then freezes each, and ends with 0 only if every sale is issued,
the stream, read by an independent consumer, tells each certificate's events once, in order and without a gap, and all
invariants hold.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiokafka
import httpx
import psutil
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from benchmarks.sales import Shop, open_shop
from benchmarks.stack import GIFTCERT, Stack, running_stack

PARTS = ("worker", "ingest", "dispatch", "api")
SERVERS = ("postgres", "kafka", "temporal")
PER_SECOND = 10
BETWEEN_SECONDS = 6
AWAY_SECONDS = 10
SERVER_FROZEN_SECONDS = 20
PATIENCE_SECONDS = 120


@dataclass
class Telling:
    """What the stream told of one certificate: events by sequence, in the order of their first coming."""

    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Note an event; a repeat must be the same to the last field, a new one must be the next."""
        sequence = event["sequence"]
        known = self.events.get(sequence)
        if known is None:
            if sequence != len(self.events) + 1:
                self.faults.append(f"{sequence} after {len(self.events)}")
            self.events[sequence] = event
        elif known != event:
            self.faults.append(f"two events with sequence {sequence}")


def pids_of(stack: Stack, part: str) -> list[psutil.Process]:
    """Return the running processes of a part, as the stack wrote them down."""
    records = [json.loads(path.read_text()) for path in Path(stack.folder, "run").glob(f"{part}.*.json")]
    found = []
    for record in records:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(record["pid"]))
    return found


async def kill(stack: Stack, part: str) -> None:
    """End a part at once; the stack starts another."""
    kill_at_once(stack, part)
    await asyncio.sleep(BETWEEN_SECONDS)


async def keep_down(stack: Stack, part: str, seconds: float) -> None:
    """End a part as often as the stack starts another, so that whoever calls it is refused for a while."""
    for _ in range(round(seconds / 0.1)):
        kill_at_once(stack, part)
        await asyncio.sleep(0.1)


def kill_at_once(stack: Stack, part: str) -> None:
    """End a part's processes without a word."""
    for process in pids_of(stack, part):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


async def freeze(stack: Stack, part: str, seconds: float) -> None:
    """Stop a part for a while without ending it."""
    frozen = [one for process in pids_of(stack, part) for one in (process, *process.children(recursive=True))]
    for process in frozen:
        process.suspend()
    await asyncio.sleep(seconds)
    for process in frozen:
        process.resume()


async def one_after_the_other(stack: Stack) -> None:
    """Have PostgreSQL go just when the workflows have much to catch up on."""
    await freeze(stack, "temporal", AWAY_SECONDS)
    await asyncio.sleep(0.2)
    await keep_down(stack, "postgres", AWAY_SECONDS)


async def until_sold(shop: Shop) -> str:
    """Sell one certificate; while the API is away the reservation is asked for again."""
    while True:
        try:
            return await shop.sell()
        except (httpx.TransportError, httpx.HTTPStatusError, KafkaError):
            await asyncio.sleep(0.5)


async def sell_while(shop: Shop, happening: Awaitable[None]) -> list[str]:
    """Sell at a steady pace while something happens, then wait for every sale to be issued."""
    going = asyncio.ensure_future(happening)
    sales = []
    while not going.done():
        sales.append(asyncio.create_task(until_sold(shop)))
        await asyncio.sleep(1 / PER_SECOND)
    await going
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await asyncio.gather(*sales))


async def read_stream(stack: Stack) -> dict[str, Telling]:
    """Read the whole stream with a consumer of its own."""
    tellings: dict[str, Telling] = defaultdict(Telling)
    async with aiokafka.AIOKafkaConsumer(
        "GiftCertificates.Stream", bootstrap_servers=stack.kafka, auto_offset_reset="earliest"
    ) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    event = json.loads(record.value)
                    if event["certificateId"]:
                        tellings[event["certificateId"]].take(event)
    return tellings


def verify(stack: Stack) -> int:
    """Hold database, stream and workflows against the invariants; return how ``giftcert verify`` ends."""
    return subprocess.run([*GIFTCERT, "verify"], env=stack.environment, check=False).returncode


async def play(stack: Stack, frozen_seconds: float, report: Callable[[str, int], None]) -> list[str]:
    """Carry out every failure; return what the stream tells wrong."""
    async with open_shop(stack) as shop:
        for part in PARTS:
            report(f"{part} killed with signal 9", len(await sell_while(shop, kill(stack, part))))
        for part in SERVERS:
            sold = await sell_while(shop, keep_down(stack, part, AWAY_SECONDS))
            report(f"{part} away for {AWAY_SECONDS} s", len(sold))
        sold = await sell_while(shop, one_after_the_other(stack))
        report(f"temporal stopped, then postgres away for {AWAY_SECONDS} s", len(sold))
        for part, seconds in (
            ("postgres", SERVER_FROZEN_SECONDS),
            ("kafka", SERVER_FROZEN_SECONDS),
            ("temporal", frozen_seconds),
        ):
            sold = await sell_while(shop, freeze(stack, part, seconds))
            report(f"{part} stopped for {seconds:g} s", len(sold))
    tellings = await read_stream(stack)
    return [f"{one}: {fault}" for one, telling in tellings.items() for fault in telling.faults]


def main() -> int:
    """Play all failures on a stack of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frozen", type=float, default=60, help="seconds for which Temporal is stopped")
    arguments = parser.parse_args()
    console, table = Console(), Table("failure", "sales meanwhile", "all issued")

    def report(failure: str, sales: int) -> None:
        console.print(f"{failure}: {sales} sales, all issued")
        table.add_row(failure, str(sales), "yes")

    with running_stack(pool=0) as stack:
        faults = asyncio.run(play(stack, arguments.frozen, report))
        verified = verify(stack)
    console.print(table)
    console.print("\n".join(faults) or "the stream: in order, no gap, no contradicting repeat")
    return 1 if faults else verified


if __name__ == "__main__":
    sys.exit(main())

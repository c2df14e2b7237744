"""A service that has grown: ``python -m benchmarks.growth``.

To see it work: ``--pool 20000 --sold 2000 --sales 60 --rounds 1``.
A stack of its own is filled with a pool of a million and 100,000 certificates sold within a year. Then sales go on at a
steady pace, once alone and once beside a verification of everything, by turns. Printed are the memory of each process,
how long a verification takes, and the p95 of a reservation and from a capture to its announcement.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

import asyncpg
import psutil

from benchmarks.measurement import options
from benchmarks.sales import Shop, open_shop
from benchmarks.stack import GIFTCERT, Stack, part_of, running_stack
from benchmarks.verification import link, publish, start_runs
from benchmarks.year import fill_year
from giftcert.embedded.addresses import running_addresses
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings

PER_SECOND = 5.0
TO_SELL = 12_000  # during the measurement; a quarter of an hour at that pace takes 4,500


@dataclass(frozen=True)
class Times:
    """Of sales at a steady pace, in milliseconds."""

    reserved_p95: float
    announced_p95: float


@dataclass(frozen=True)
class Growth:
    """What was there and what it takes; memory in MB (PSS), times in milliseconds, ``slower`` as a proportion."""

    certificates: int
    events: int
    open_workflows: int
    database_mb: int
    filled_in_seconds: float
    memory_empty: dict[str, float]
    memory_filled: dict[str, float]
    memory_after_sales: dict[str, float]
    verify_seconds: float
    verify_fast_seconds: float
    verify_peak_mb: float
    violations: int
    alone: Times
    beside_verify: Times
    slower_reserved: float
    slower_announced: float


def memory(stack: Stack) -> dict[str, float]:
    """Return the megabytes that each part's processes have for themselves, shared pages divided among them."""
    found: dict[str, float] = {}
    for process in psutil.process_iter():
        try:
            if part := part_of(process, stack):
                found[part] = found.get(part, 0.0) + process.memory_full_info().pss / 2**20
        except psutil.Error:
            continue
    return {part: round(size) for part, size in sorted(found.items())}


async def fill(stack: Stack, pool: int, sold: int, live: int) -> tuple[int, int, int]:
    """Fill the tables, the audit chain, the stream and Temporal; return events, open workflows, megabytes."""
    settings = Settings(_env_file=None, state_dir=stack.folder)
    keyring, owner_url = keyring_of(settings), running_addresses(settings).database_owner_url or ""
    await fill_year(
        stack.database_url, owner_url, keyring, pool, sold, live, sealed=min(sold + TO_SELL, pool + sold - 1)
    )
    owner = await asyncpg.connect(owner_url)
    try:
        while await owner.fetchval("SELECT count(*) FROM events") > await _linked(owner):
            await link(owner, keyring)
        events = await publish(owner, stack.kafka)
        size = await owner.fetchval("SELECT pg_database_size(current_database())")
    finally:
        await owner.close()
    addresses = {"GIFTCERT_DATABASE_URL": stack.database_url, "GIFTCERT_TEMPORAL_ADDRESS": stack.temporal}
    return events, await start_runs(addresses), round(size / 2**20)


async def _linked(owner: "asyncpg.Connection[asyncpg.Record]") -> int:
    return int(await owner.fetchval("SELECT coalesce(sum(cardinality(event_ids)), 0) FROM audit_links"))


class Sales:
    """Sells at a steady pace as long as it is wanted, and notes how long reservations and announcements take."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def sell(self, count: int) -> Times:
        """Sell so many; return the times."""
        return await self._timed(count, None)

    async def sell_until(self, done: "asyncio.Task[Any]", at_least: int) -> Times:
        """Sell as long as something goes on, and so many at least."""
        return await self._timed(at_least, done)

    async def _timed(self, count: int, going_on: "asyncio.Task[Any] | None") -> Times:
        shop, sales, reserved = self._shop, list[asyncio.Task[str]](), list[float]()
        due = time.perf_counter()
        while len(sales) < count or (going_on is not None and not going_on.done()):
            sales.append(asyncio.create_task(shop.sell(reserved)))
            due += 1 / PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        certificates = await asyncio.gather(*sales)
        await asyncio.gather(*(shop.until_announced(one) for one in certificates))
        announced = [1000 * (shop.announced[one] - shop.captured[one]) for one in certificates]
        return Times(_p95(reserved), _p95(announced))


def _p95(values: list[float]) -> float:
    return round(quantiles(values, n=20)[-1], 1)


async def verify(stack: Stack, *arguments: str) -> tuple[float, float, int]:
    """Verify everything by the command; return its seconds, most megabytes and violations."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *GIFTCERT, "verify", "--json", *arguments, env=stack.environment, stdout=asyncio.subprocess.PIPE
    )
    peak, reading = 0.0, asyncio.create_task(process.communicate())
    while not reading.done():
        try:
            peak = max(peak, psutil.Process(process.pid).memory_info().rss / 2**20)
        except psutil.Error:
            break
        await asyncio.wait([reading], timeout=0.2)
    said = json.loads((await reading)[0])
    for one in said["violations"][:5]:
        print(f"violation: {one['rule']} {one['expected']}; {one['seen']}"[:300], file=sys.stderr)
    return time.monotonic() - began, peak, sum(one["violations"] for one in said["invariants"])


async def measure(stack: Stack, pool: int, sold: int, live: int, sales: int, rounds: int) -> Growth:
    """Fill the stack, then sell alone and beside a verification by turns."""
    empty, began = memory(stack), time.monotonic()
    events, runs, size = await fill(stack, pool, sold, live)
    filled_in = time.monotonic() - began
    full = memory(stack)
    fast, _, violations = await verify(stack, "--fast")
    async with open_shop(stack) as shop:
        selling = Sales(shop)
        await selling.sell(sales // 4)  # warms up
        alone, beside, taken = list[Times](), list[Times](), list[tuple[float, float, int]]()
        for nth in range(rounds):
            alone.append(await selling.sell(sales))
            verifying = asyncio.create_task(verify(stack))
            beside.append(await selling.sell_until(verifying, sales))
            taken.append(await verifying)
            print(f"round {nth}: alone {alone[-1]}, beside verify {beside[-1]}", file=sys.stderr, flush=True)
    medians = [
        Times(median(one.reserved_p95 for one in times), median(one.announced_p95 for one in times))
        for times in (alone, beside)
    ]
    return Growth(
        certificates=pool + sold,
        events=events,
        open_workflows=runs,
        database_mb=size,
        filled_in_seconds=round(filled_in),
        memory_empty=empty,
        memory_filled=full,
        memory_after_sales=memory(stack),
        verify_seconds=round(median(one[0] for one in taken), 1),
        verify_fast_seconds=round(fast, 1),
        verify_peak_mb=round(max(one[1] for one in taken)),
        violations=violations + sum(one[2] for one in taken),
        alone=medians[0],
        beside_verify=medians[1],
        slower_reserved=round(medians[1].reserved_p95 / medians[0].reserved_p95 - 1, 3),
        slower_announced=round(medians[1].announced_p95 / medians[0].announced_p95 - 1, 3),
    )


def main() -> None:
    """Measure and print JSON."""
    chosen = options(pool=1_000_000, sold=100_000, live=20_000, sales=300, rounds=3)
    live = min(chosen.live, chosen.sold // 5)
    # The year is written at once, after a snapshot would have been: so the last instant of one is before it all.
    with running_stack(pool=0, settings={"GIFTCERT_SNAPSHOT_EVERY": "P3650D"}) as stack:
        found = asyncio.run(measure(stack, chosen.pool, chosen.sold, live, chosen.sales, chosen.rounds))
    print(json.dumps(asdict(found), indent=1))


if __name__ == "__main__":
    main()

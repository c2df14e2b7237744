"""A run: customers come at a pace while faults strike, then all has two minutes to come to rest."""

import asyncio
from argparse import Namespace
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic

from rich.table import Table

from chaos.customers import Customer
from chaos.faults import all_faults
from chaos.oracle import differences, stream_differences
from chaos.partners import Partners, gather_evidence, read_stream
from chaos.people import import_file
from chaos.recording import Recording
from chaos.schedule import rounds_of
from chaos.stage import Stage
from chaos.stories import STORIES
from simulators.money import money_text
from simulators.programs import reason_of

DRAIN_SECONDS = 120
PROGRESS_SECONDS = 10
LOOK_AGAIN_SECONDS = 2
DIRECT_SPENDING = {"GIFTCERT_DIRECT_SPEND_CHANNELS": '["pos"]', "GIFTCERT_DIRECT_SPEND_CAP": "200000"}
"""What the service must be set to, so that tills may take money without having held it."""


@dataclass(slots=True)
class Run:
    """One run on a stage. What chance decides comes from the seed; what the machine decides does not."""

    stage: Stage
    partners: Partners
    options: Namespace
    random: Random = field(init=False)
    customers: list[asyncio.Task[None]] = field(default_factory=list, init=False)
    struck: Counter[str] = field(default_factory=Counter, init=False)
    now: str = field(default="nothing fails", init=False)
    is_over: bool = field(default=False, init=False)
    began: float = field(default_factory=monotonic, init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.options.seed)

    async def play(self) -> Recording:
        """Trade, break, come to rest; return the book and what the service shows in the end."""
        beside = [asyncio.create_task(self._report_progress()), asyncio.create_task(self._import())]
        faults = asyncio.create_task(self._strike(usable(self.stage, self.options)))
        try:
            await self._trade(faults)
            await faults
            self.is_over, self.now = True, "everything is there again"
            until = monotonic() + DRAIN_SECONDS
            await self._until_done([*self.customers, beside[1]], until)
            return await self._until_at_rest(until)
        finally:
            tasks = [faults, *beside, *self.customers]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _strike(self, names: Sequence[str]) -> None:
        """Have one fault after the other strike, round after round, until all customers have come."""
        known = all_faults(self.options.seconds, self.options.frozen)
        if not names:
            return
        for name, calm in rounds_of(names, Random(self.options.seed)):
            is_through = sum(self.struck.values()) >= self.options.rounds * len(names)
            if is_through and len(self.customers) >= self.options.sales:
                return
            await asyncio.sleep(calm * self.options.calm)
            self.now = known[name].description
            await known[name].inject(self.stage, self.random)
            self.struck[name] += 1
            self.now = "nothing fails"

    async def _trade(self, faults: asyncio.Task[None]) -> None:
        """Have customers come until there were enough and the faults are through."""
        random, stories = Random(self.options.seed), list(STORIES.items())
        while len(self.customers) < self.options.sales or not faults.done():
            if len(self.customers) % len(stories) == 0:
                random.shuffle(stories)
            name, story = stories[len(self.customers) % len(stories)]
            customer = Customer(self.partners, random.choice(("im", "pos")))
            self.customers.append(asyncio.create_task(self._serve(name, story(customer))))
            await asyncio.sleep(random.expovariate(self.options.pace))

    async def _serve(self, name: str, story: Coroutine[None, None, None]) -> None:
        who = f"customer {len(self.customers) + 1}, who {name}"
        try:
            await story
        except asyncio.CancelledError:
            self.partners.book.faults.append(f"{who}: still waits {DRAIN_SECONDS} s after the last fault")
        except Exception as error:  # noqa: BLE001 - whatever it is, this customer was not served
            self.partners.book.faults.append(f"{who}: {reason_of(error)}")

    async def _import(self) -> None:
        """Import one file after the other while the trade lasts."""
        random = Random(self.options.seed)
        for number in count(1):
            await asyncio.sleep(self.options.imports)
            if self.is_over:
                return
            await import_file(self.stage, self.partners.book, random, number)

    async def _until_done(self, tasks: Sequence[asyncio.Task[None]], until: float) -> None:
        _, late = await asyncio.wait(tasks, timeout=until - monotonic())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _until_at_rest(self, until: float) -> Recording:
        """Wait until stream and book agree, then ask the API for everything, again while time is left."""
        partners, book = self.partners, self.partners.book
        is_late = False
        while not is_late and stream_differences(book, await read_stream(partners.addresses)):
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            is_late = monotonic() > until
        evidence = await gather_evidence(partners)
        while not is_late and len(differences(book, evidence)) > len(book.faults):
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            is_late = monotonic() > until
            evidence = await gather_evidence(partners)
        print(f"{self._clock()} at rest {monotonic() - until + DRAIN_SECONDS:.0f} s after the last fault")
        return Recording(book, evidence, partners.history.operations)

    async def _report_progress(self) -> None:
        """Print a line now and then."""
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            waiting = sum(not one.done() for one in self.customers)
            print(
                f"{self._clock()} {len(self.customers):,} of {self.options.sales:,} customers, {waiting} in the shop, "
                f"{len(self.partners.book.faults) or 'none'} not served; {self.now}",
                flush=True,
            )

    def _clock(self) -> str:
        minutes, seconds = divmod(int(monotonic() - self.began), 60)
        return f"{minutes:3}:{seconds:02}"


def usable(stage: Stage, options: Namespace) -> list[str]:
    """Return the faults that were asked for and that this machine can make."""
    faults = all_faults(options.seconds, options.frozen)
    wanted = faults if options.faults is None else options.faults
    return [name for name in wanted if faults[name].needs in {None, *stage.can}]


def totals(run: Run) -> Table:
    """Return what was traded and what broke, as a table."""
    lines = run.partners.book.lines
    purchases = [purchase for line in lines for purchase in line.purchases]
    table = Table("in the book", "number", "amount")
    for what, amounts in {
        "order lines paid": [line.captured for line in lines],
        "money given back": [line.refunded for line in lines],
        "spent with certificates": [purchase.captured for purchase in purchases],
        "brought back onto certificates": [purchase.restored for purchase in purchases],
        "decided by support": [line.refunded for line in lines if line.decision],
    }.items():
        moved = [amount for amount in amounts if amount]
        table.add_row(what, f"{len(moved):,}", money_text(sum(moved)))
    for what, number in {
        "blocked by support": sum(line.blocks for line in lines),
        "written to again": sum(line.letters for line in lines),
        "given back unsold": len(run.partners.book.given_back),
        "in the pool at first, and imported": run.partners.book.imported,
        "faults": sum(run.struck.values()),
    }.items():
        table.add_row(what, f"{number:,}", "")
    return table

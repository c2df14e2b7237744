"""Break each part in the middle of running trade, and compare what came of it with the partners' own book.

``python -m chaos`` starts a whole stack. Customers buy, spend, return, exchange and cancel at a steady pace while our
parts are killed with signal 9 in turn, PostgreSQL, Kafka and Temporal are kept away for a while, then frozen. It ends
with 0 only if stream and API show exactly what the oracle's book says and all invariants hold; else it prints one line
for each difference.
"""

import argparse
import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import count, cycle
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.stack import GIFTCERT, Stack, running_stack
from chaos.customers import DIRECT_SPENDING, STORIES, Customer
from chaos.faults import Fault, all_faults
from chaos.oracle import differences
from chaos.partners import Partners, gather_evidence, open_partners
from simulators.money import money_text
from simulators.programs import reason_of

PATIENCE_SECONDS = 120
LOOK_AGAIN_SECONDS = 3


class Traffic:
    """Customers that come at a pace, story by story, alternately in each channel."""

    def __init__(self, partners: Partners, pace: float, progress: Progress) -> None:
        self._partners = partners
        self._pace = pace
        self._progress = progress
        self._stories = cycle(STORIES.items())
        self._channels = cycle(("im", "pos"))
        self._numbers = count(1)

    async def trade(self, stack: Stack, fault: Fault | None, least: int) -> int:
        """Have customers come while a fault strikes, at least so many; return how many came and were served."""
        injecting = asyncio.ensure_future(fault.inject(stack)) if fault else None
        bar = self._progress.add_task(fault.description if fault else "nothing fails", total=least)
        customers: list[asyncio.Task[None]] = []
        while len(customers) < least or (injecting and not injecting.done()):
            customers.append(asyncio.create_task(self._serve_next()))
            customers[-1].add_done_callback(lambda _: self._progress.advance(bar))
            self._progress.update(bar, total=len(customers))
            await asyncio.sleep(1 / self._pace)
        if injecting:
            await injecting
        _, late = await asyncio.wait(customers, timeout=PATIENCE_SECONDS)
        for customer in late:
            customer.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._progress.remove_task(bar)
        return len(customers)

    async def _serve_next(self) -> None:
        name, story = next(self._stories)
        customer = Customer(self._partners, next(self._channels))
        who = f"customer {next(self._numbers)}, who {name}"
        try:
            await story(customer)
        except asyncio.CancelledError:
            self._partners.book.faults.append(f"{who}: still waits after {PATIENCE_SECONDS} s")
        except Exception as error:  # noqa: BLE001 - whatever it is, this customer was not served
            self._partners.book.faults.append(f"{who}: {reason_of(error)}")


async def play(stack: Stack, partners: Partners, options: argparse.Namespace) -> list[str]:
    """Carry out every fault among customers; return in what the service differs from the book in the end."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        traffic = Traffic(partners, options.pace, progress)
        for fault in (all_faults(options.frozen).get(name) for name in options.faults):
            before = len(partners.book.faults)
            customers = await traffic.trade(stack, fault, options.customers)
            lost = len(partners.book.faults) - before
            description = fault.description if fault else "nothing fails"
            came = "1 customer" if customers == 1 else f"{customers} customers"
            console.print(f"{description}: {came}, {lost or 'none'} not served")
        progress.add_task("compared with the book", total=None)
        found = await settled_differences(partners)
    console.print(_totals(partners))
    return found


async def settled_differences(partners: Partners, patience: float = PATIENCE_SECONDS) -> list[str]:
    """Return the differences that stay when everything has had its time."""
    until = monotonic() + patience
    while True:
        found = differences(partners.book, await gather_evidence(partners))
        if len(found) <= len(partners.book.faults) or monotonic() > until:
            return found
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _totals(partners: Partners) -> Table:
    lines = partners.book.lines
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
        table.add_row(what, str(len(moved)), money_text(sum(moved)))
    return table


def verify(stack: Stack) -> int:
    """Check database, stream and workflows by the invariants; return how ``giftcert verify`` ends."""
    return subprocess.run([*GIFTCERT, "verify"], env=stack.environment, check=False).returncode


def report(found: Sequence[str], verified: int) -> int:
    """Print one line for each difference; return the exit code."""
    for difference in found:
        print(difference)
    if not found:
        print("stream and API show what the book says, in order, without a gap or a contradicting repeat")
    return 1 if found or verified else 0


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--frozen", type=float, default=60, help="seconds for which Temporal is stopped")
    parser.add_argument("--pace", type=float, default=5, help="customers a second")
    parser.add_argument(
        "--customers", type=int, default=len(STORIES), help="least number of them in each fault"
    )
    names = [*all_faults(0), "none"]
    parser.add_argument(
        "--faults", nargs="+", choices=names, default=names[:-1], metavar="FAULT", help=", ".join(names)
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the chosen faults on a stack of its own; return the exit code."""
    options = options_of(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its stack ends with it

    async def play_all() -> list[str]:
        async with open_partners(stack) as partners:
            return await play(stack, partners, options)

    with running_stack(pool=0, settings=DIRECT_SPENDING) as stack:
        found = asyncio.run(play_all())
        return report(found, verify(stack))


if __name__ == "__main__":
    sys.exit(main())

"""Plays every scenario against a running service; the exit status is 0 only if all of it came out.

``python -m simulators.demo``, or ``giftcert demo``, which starts the service as well.
"""

import argparse
import asyncio
import sys

import httpx
from aiokafka.errors import KafkaError
from rich.console import Console

from simulators.addresses import Addresses, CommandError
from simulators.demo.performance import Options, perform
from simulators.service import RefusedError
from simulators.topics import BrokerUnreachableError


def options_of(arguments: list[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m simulators.demo", description=__doc__)
    parser.add_argument("--sales", type=int, default=300, help="certificates sold at least")
    parser.add_argument(
        "--goods", type=int, default=None, help="orders of goods; ten times the sales if not said"
    )
    parser.add_argument("--pace", type=float, default=15.0, help="stories begun a second")
    parser.add_argument(
        "--patience",
        type=float,
        default=90.0,
        help="seconds without the end of any story until what is missing counts as missing",
    )
    given = parser.parse_args(arguments)
    goods = 10 * given.sales if given.goods is None else given.goods
    return Options(sales=given.sales, goods=goods, pace=given.pace, patience=given.patience)


def _tell(console: Console, problems: BaseExceptionGroup[Exception], form: str = "{1}: {0}") -> None:
    for problem in problems.exceptions:
        console.print(f"demo: {form.format(problem, type(problem).__name__)}", style="red", soft_wrap=True)


def main() -> None:
    """Run the demo and end with its verdict."""
    options, console, came_out = options_of(), Console(), False
    try:
        came_out = asyncio.run(perform(options, console))
    except* (CommandError, BrokerUnreachableError) as problems:
        _tell(console, problems, "{0}")
    except* (httpx.TransportError, RefusedError) as problems:
        _tell(console, problems, f"the API at {Addresses.from_environment().api_url}: {{1}}: {{0}}")
    except* (KafkaError, OSError) as problems:
        _tell(console, problems)
    console.print(
        "[bold green]All of it came out.[/]" if came_out else "[bold red]Not all of it came out.[/]"
    )
    sys.exit(0 if came_out else 1)


if __name__ == "__main__":
    main()

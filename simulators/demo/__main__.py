"""Plays every scenario against a running service; the exit status is 0 only if everything is as expected.

``python -m simulators.demo``, or ``giftcert demo``, which starts the service as well.
"""

import argparse
import asyncio
import json
import sys

import httpx
from aiokafka.errors import KafkaError
from rich.console import Console

from simulators.addresses import CommandError
from simulators.demo.performance import Options, perform
from simulators.demo.report import as_json, show
from simulators.programs import reason_of
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
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")
    parser.add_argument("--stack-ends", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    goods = 10 * given.sales if given.goods is None else given.goods
    return Options(given.sales, goods, given.pace, given.patience, given.json, given.stack_ends)


async def _play(options: Options, console: Console) -> int:
    result = await perform(options, console)
    if options.as_json:
        print(json.dumps(as_json(result, stack_ends=options.stack_ends), ensure_ascii=False))  # noqa: T201
    else:
        show(console, result, stack_ends=options.stack_ends)
    return 0 if result.as_expected else 1


def main() -> None:
    """Run the demo and end with its verdict."""
    options = options_of()
    console, code = Console(stderr=options.as_json), 1
    try:
        code = asyncio.run(_play(options, console))
    except* (
        CommandError,
        BrokerUnreachableError,
        httpx.TransportError,
        RefusedError,
        KafkaError,
        OSError,
    ) as several:
        for problem in several.exceptions:
            console.print(f"demo: {reason_of(problem)}", style="red", soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

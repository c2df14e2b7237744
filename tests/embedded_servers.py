"""The servers alone, or with the service: ``python -m tests.embedded_servers postgres kafka --owner PID``.

Prints the addresses as one line of JSON when they are ready and runs until it is told to end, or until the
owner, a process on whose behalf it was started, is gone. For tests that share servers, and for benchmarks.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict

from giftcert.embedded.addresses import PARTS, Addresses
from giftcert.embedded.guardian import PidFile
from giftcert.embedded.keeper import silent
from giftcert.embedded.stack import EmbeddedStack, whole_stack
from giftcert.embedded.state_folder import StackError
from giftcert.settings import Settings

_LOOK_SECONDS = 0.2
WITH_SERVICE = "service"
"""All servers, and the service on top of them."""


async def _until_unwanted(owner: PidFile | None) -> None:
    told = asyncio.Event()
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stop_signal, told.set)
    while not told.is_set() and owner is not None and owner.process() is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), _LOOK_SECONDS)


async def _run(arguments: argparse.Namespace) -> None:
    owner = PidFile.of("owner", arguments.owner)
    # The usual ports are for the stack that a person may run beside a test run.
    settings = Settings(postgres_port=0, temporal_port=0, temporal_ui_port=0, kafka_port=0, api_port=0)
    async with _started(arguments, settings) as addresses:
        sys.stdout.write(json.dumps(asdict(addresses)) + "\n")
        sys.stdout.flush()
        await _until_unwanted(owner)
    if arguments.throw_away:
        shutil.rmtree(settings.state_dir, ignore_errors=True)


@asynccontextmanager
async def _started(arguments: argparse.Namespace, settings: Settings) -> AsyncIterator[Addresses]:
    if arguments.parts == [WITH_SERVICE]:
        quiet = settings.model_copy(update={"embedded_pool": 200})
        async with whole_stack(quiet, silent, any_free_port=True) as ready:
            yield ready.addresses
    else:
        stack = EmbeddedStack(settings, parts=arguments.parts, durable=not arguments.throw_away)
        async with stack as addresses:
            yield addresses


def main() -> None:
    """Run the servers; end with 1 and one line if they cannot start."""
    parser = argparse.ArgumentParser(prog="python -m tests.embedded_servers")
    parser.add_argument("parts", nargs="+", choices=[*PARTS, WITH_SERVICE])
    parser.add_argument("--owner", type=int, default=os.getppid(), help="end when this process has ended")
    parser.add_argument(
        "--throw-away", action="store_true", help="fast, not durable; delete the state at the end"
    )
    try:
        asyncio.run(_run(parser.parse_args()))
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

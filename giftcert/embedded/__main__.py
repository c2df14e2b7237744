"""The servers alone, without the service: ``python -m giftcert.embedded postgres kafka --owner PID``.

Prints the addresses as one line of JSON when they are ready and runs until it is told to end, or until the
owner, a process on whose behalf it was started, is gone. For tests and benchmarks that share servers.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import asdict

import psutil

from giftcert.embedded.errors import StackError
from giftcert.embedded.servers import StackOptions
from giftcert.embedded.stack import EmbeddedStack
from giftcert.embedded.state_folder import StateFolder
from giftcert.settings import Settings

_LOOK_SECONDS = 0.2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m giftcert.embedded")
    parser.add_argument("parts", nargs="+", choices=["postgres", "temporal", "kafka"])
    parser.add_argument("--owner", type=int, default=os.getppid(), help="end when this process has ended")
    parser.add_argument(
        "--throw-away", action="store_true", help="fast, not durable; delete the state at the end"
    )
    return parser.parse_args()


async def _until_unwanted(owner: psutil.Process | None) -> None:
    told = asyncio.Event()
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stop_signal, told.set)
    while not told.is_set() and owner is not None and _runs(owner):
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await told.wait()
        except TimeoutError:
            continue


def _process(pid: int) -> psutil.Process | None:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid)
    return None


def _runs(process: psutil.Process) -> bool:
    """Return whether it still is that process; one whose parent does not ask for its end stays listed for ever."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def _run(arguments: argparse.Namespace) -> None:
    owner = _process(arguments.owner)
    # The usual ports are for the stack that a person may run beside a test run.
    settings = Settings(postgres_port=0, temporal_port=0, temporal_ui_port=0, kafka_port=0)
    options = StackOptions(durable=not arguments.throw_away)
    async with EmbeddedStack(settings, parts=arguments.parts, options=options) as addresses:
        sys.stdout.write(json.dumps(asdict(addresses)) + "\n")
        sys.stdout.flush()
        await _until_unwanted(owner)
    if arguments.throw_away:
        shutil.rmtree(StateFolder(settings.state_dir).root, ignore_errors=True)


def main() -> int:
    """Run the servers; return the exit code."""
    try:
        asyncio.run(_run(_arguments()))
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

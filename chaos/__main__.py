"""Break everything in the middle of running trade, and compare what came of it with the partners' own book.

Customers of both channels buy, spend, return, exchange and cancel, support decides and blocks, files are imported,
while every process and server is killed, frozen, cut off and slowed down, clocks are moved, the disk is full, and other
processes come and go. Ends with 0 only if stream and API show exactly what the book says, two minutes after the last
fault at the latest, and all invariants hold; else a line is printed for each difference.
"""

import argparse
import asyncio
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.stack import GIFTCERT, Stack
from chaos import overload, soak
from chaos.checker import CheckerMissingError, violations
from chaos.customers import FULL
from chaos.faults import all_faults
from chaos.oracle import differences
from chaos.partners import open_partners
from chaos.play import DIRECT_SPENDING, Run, totals
from chaos.recording import Recording, load, save
from chaos.stage import Stage, set_up

AGREES = "stream and API show what the book says, in order, without a gap or a contradicting repeat"


async def play(options: argparse.Namespace) -> tuple[Recording, list[str]]:
    """Carry out a run; return it, and a line if invariants do not hold."""
    pool = int(options.sales * POOL_SHARE) + POOL_LEAST
    async with set_up(DIRECT_SPENDING, pool=pool, with_tools=not options.plain) as stage:
        for line in stage.skipped:
            print(f"left out: {line}", flush=True)
        async with open_partners(stage) as partners:
            run = Run(stage, partners, options)
            recording = await run.play()
        Console().print(totals(run))
        beside = verify(stage.stack)
        if beside or differences(recording.book, recording.evidence):
            print(f"logs of all parts: {keep_logs(stage, options.seed)}")
        return recording, beside


def keep_logs(stage: Stage, seed: int) -> Path:
    """Copy the logs of all parts to a folder that stays, and return it."""
    kept = Path(f".build/chaos-logs-{seed}")
    for folder in stage.folders:
        shutil.copytree(folder / "logs", kept, dirs_exist_ok=True)
    return kept


def verify(stack: Stack) -> list[str]:
    """Check database, stream and workflows by the invariants; return a line if ``giftcert verify`` finds something."""
    done = subprocess.run([*GIFTCERT, "verify"], env=stack.environment, check=False)
    return ["an invariant does not hold, as giftcert verify says above"] if done.returncode else []


POOL_SHARE, POOL_LEAST = 1.3, 200
"""Certificates for each customer: some take two, and some come more than were asked for."""


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.set_defaults(command=None)
    _add_run(parser)
    commands = parser.add_subparsers(title="instead", metavar="COMMAND")
    judge = commands.add_parser("judge", help="judge a run that was recorded, and start nothing")
    judge.add_argument("file", type=Path)
    judge.set_defaults(command="judge")
    too_much = commands.add_parser("overload", help="ten times of what the API can answer")
    too_much.add_argument("--certificates", type=int, default=60_000, help="in the pool")
    too_much.set_defaults(command="overload")
    long = commands.add_parser(
        "soak", help="half an hour at 70 %% of what the stack can do; memory must be flat"
    )
    long.add_argument("--minutes", type=float, default=soak.SOAK_MINUTES)
    long.add_argument("--certificates", type=int, default=60_000, help="in the pool")
    long.set_defaults(command="soak", pace=0)
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.randrange(10**6)
    return options


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sales", type=int, default=10_000, help="customers that come at least")
    parser.add_argument("--seed", type=int, default=None, help="repeats the order of customers and faults")
    parser.add_argument("--pace", type=float, default=8, help="customers a second")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of all faults, at least")
    parser.add_argument("--seconds", type=float, default=10, help="how long a fault lasts")
    parser.add_argument("--frozen", type=float, default=20, help="seconds for which a server is frozen")
    parser.add_argument("--calm", type=float, default=1, help="factor of the calm between two faults")
    parser.add_argument("--imports", type=float, default=20, help="seconds between two imports")
    parser.add_argument(
        "--plain", action="store_true", help="only what needs neither Toxiproxy nor libfaketime nor root"
    )
    parser.add_argument("--record", type=Path, help="write the run to this file (.json.gz)")
    names = list(all_faults(0, 0))
    parser.add_argument("--faults", nargs="*", choices=names, metavar="FAULT", help=", ".join(names))


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a run on a stack of its own, or judge one that was recorded; return the exit code."""
    options = options_of(arguments)
    beside: list[str] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its stack ends with it
    match options.command:
        case "overload":
            found = asyncio.run(overload.play(options))
            return ended(found, "what was too much was refused fast, and all was well soon afterwards")
        case "judge":
            recording = load(options.file)
        case "soak":
            recording, beside = asyncio.run(soak.play(options))
        case _:
            print(
                f"seed {options.seed}: --sales {options.sales} --seed {options.seed} repeats it", flush=True
            )
            recording, beside = asyncio.run(play(options))
            if options.record:
                save(recording, options.record)
    return ended([*beside, *judged(recording)], AGREES)


def judged(recording: Recording) -> list[str]:
    """Return what the oracle and Porcupine find in a run, a line each."""
    found = differences(recording.book, recording.evidence)
    try:
        found += violations(recording.operations, FULL)
    except CheckerMissingError as missing:
        print(f"left out: {missing}")
    return found


def ended(found: Sequence[str], well: str) -> int:
    """Print what was found, or that all is well; return the exit code."""
    for line in found or [well]:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; all that was started has ended")

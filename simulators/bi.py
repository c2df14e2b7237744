"""BI: reads the whole stream, checks it as a reader can, and reports the figures of contracts.md.

``python -m simulators.bi`` reads to the present end and ends 1 if the stream breaks a rule.
With ``--follow`` it goes on.
"""

import argparse
import sys

import msgspec

from simulators.addresses import Addresses
from simulators.fold import Fold
from simulators.programs import run
from simulators.stream import envelope_faults, read_event
from simulators.topics import Reader, Record, open_reader


def take_in(fold: Fold, record: Record) -> None:
    """Fold one record; one that breaks the contract becomes a violation."""
    try:
        event = read_event(record)
    except msgspec.DecodeError as error:
        fold.violations.append(f"{record.position}: {error}")
        return
    if fold.add(event, record.value):
        fold.violations.extend(envelope_faults(record, event))


def report(fold: Fold) -> str:
    """Return the figures as JSON, amounts in minor units."""
    violations = fold.violations + fold.lines_held_twice()
    figures = {
        "certificates": len(fold.certificates),
        "issued": fold.figures.issued,
        "revenue": fold.figures.revenue,
        "liability": fold.liability,
        "discount": fold.figures.discount,
        "breakage": fold.figures.breakage,
        "held": fold.held,
        "redeemed": fold.figures.redeemed,
        "uncovered": fold.figures.uncovered,
        "goodsUncovered": fold.figures.goods_uncovered,
        "repeats": fold.repeats,
        "events": dict(sorted(fold.types.items())),
        "violations": violations,
    }
    return msgspec.json.format(msgspec.json.encode(figures)).decode()


async def _read_to_the_end(reader: Reader, fold: Fold) -> None:
    end = await reader.end()
    while not await reader.has_read(end):
        for record in await reader.batch():
            take_in(fold, record)


async def count(addresses: Addresses, *, follow: bool) -> None:
    """Fold the stream and print the figures, once or after every batch that brought something."""
    fold = Fold()
    async with open_reader(addresses, addresses.stream_topic) as reader:
        await _read_to_the_end(reader, fold)
        print(report(fold))  # noqa: T201
        while follow:
            records = await reader.batch(1_000)
            for record in records:
                take_in(fold, record)
            if records:
                print(report(fold))  # noqa: T201
    if fold.violations or fold.lines_held_twice():
        sys.exit(1)


def main() -> None:
    """Read the options and run until done or interrupted."""
    parser = argparse.ArgumentParser(prog="python -m simulators.bi", description=__doc__)
    parser.add_argument("--follow", action="store_true", help="go on with what comes")
    options = parser.parse_args()
    run(lambda addresses: count(addresses, follow=options.follow))


if __name__ == "__main__":
    main()

"""Several writes of one transaction in one round trip: each is a part of one statement, over arrays of its columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from giftcert.storage.engine import AnyConnection, driver_of


@dataclass(frozen=True, slots=True)
class Write:
    """A data-modifying statement with ``{}`` wherever the next of its values stands.

    The parts of one statement see what was there before it, and nobody's parts wait for each other in any order: the
    rows that others may want must be locked before.
    """

    statement: str
    values: Sequence[Any]


async def write_together(connection: AnyConnection, *writes: Write) -> None:
    """Carry out writes, all of them or, if one fails, none."""
    values: list[Any] = []
    parts = []
    for nth, write in enumerate(writes):
        first = len(values) + 1
        values += write.values
        places = [f"${place}" for place in range(first, len(values) + 1)]
        parts.append(f"part_{nth} AS ({write.statement.format(*places)})")
    driver = await driver_of(connection)
    await driver.execute(f"WITH {', '.join(parts)} SELECT", *values)

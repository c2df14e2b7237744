"""The inbox: originals of what was folded, sealed, as long as a trace needs them. Repeats are known elsewhere."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage import day_partitions
from giftcert.storage.engine import driver_of

_TABLE: day_partitions.Table = "inbox"
_COLUMNS = (
    "received_on",
    "order_id",
    "topic",
    "partition",
    "record_offset",
    "event_id",
    "event_type",
    "original",
)


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A message as it was received, in the order of the columns; ``original`` is sealed by the keyring."""

    received_on: date
    order_id: str
    topic: str
    partition: int
    offset: int
    event_id: str
    event_type: str
    original: bytes


class InboxRepository:
    """Writes messages in batches; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[InboxRow]) -> None:
        """Write messages by COPY; a day without a partition of its own goes to the default partition."""
        driver = await driver_of(self._connection)
        await driver.copy_records_to_table(_TABLE, records=map(astuple, rows), columns=_COLUMNS)

    async def drop_before(self, first_kept: date) -> list[str]:
        """Drop all days before this one, whole; see ``day_partitions``."""
        return await day_partitions.drop_before(self._connection, _TABLE, first_kept)

"""The inbox: originals of what was folded, sealed, as long as a trace needs them. Repeats are known elsewhere."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import date

from giftcert.storage.repository import by_column
from giftcert.storage.round_trip import Write

_ADD = """
    INSERT INTO inbox (received_on, order_id, topic, partition, record_offset, event_id, event_type, original)
    SELECT * FROM unnest({}::date[], {}::text[], {}::text[], {}::integer[], {}::bigint[], {}::text[], {}::text[],
        {}::bytea[])
"""


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


def received(rows: Sequence[InboxRow]) -> Write:
    """Keep messages; a day without a partition of its own goes to the default partition."""
    return Write(_ADD, by_column(map(astuple, rows)))

"""Originals of what was folded, as long as a trace needs them; repeats are known elsewhere. Table ``inbox``."""

from collections.abc import Sequence
from datetime import date
from typing import TypeAlias

from giftcert.storage.repository import Write, by_column

InboxRow: TypeAlias = tuple[date, str, str, int, int, str, str, bytes]
"""Day received, order id, topic, partition, offset, event id, event type, original sealed by the keyring."""

_RECEIVED = """
    INSERT INTO inbox (received_on, order_id, topic, partition, record_offset, event_id, event_type, original)
    SELECT * FROM unnest({}::date[], {}::text[], {}::text[], {}::integer[], {}::bigint[], {}::text[], {}::text[],
        {}::bytea[])
"""


def received(rows: Sequence[InboxRow]) -> Write:
    """Keep originals; a day without a partition of its own goes to the default partition."""
    return Write(_RECEIVED, by_column(rows))

"""Public events: recorded in the transaction of what they tell of, published from the outbox by dispatch.

``RECORD`` is the one way in which events are written, whatever statement it is part of.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from giftcert.contracts.records import EventRecord
from giftcert.storage.shards import SHARDS

_TYPES = {
    "event_id": "uuid",
    "stream_key": "text",
    "certificate_id": "uuid",
    "sequence": "integer",
    "event_type": "text",
    "occurred_at": "timestamptz",
    "channel": "text",
    "sale_channel": "text",
    "status": "text",
    "refund_state": "text",
    "product_id": "text",
    "nominal": "bigint",
    "currency": "text",
    "balance": "bigint",
    "held": "bigint",
    "cause_topic": "text",
    "cause_event_id": "text",
    "payload": "jsonb",
}
COLUMNS = ", ".join(_TYPES)
"""Of an event, and of the CTE ``new_events`` that ``RECORD`` reads."""

# The outbox reads what `events` returns: so whoever draws a position has a transaction id already, on which the lower
# bound of a shard rests (see outbox.py); and it sorts, so positions of a certificate rise with its sequence.
RECORD = f"""recorded AS (
    INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM new_events RETURNING event_id, stream_key, sequence
), queued AS (
    INSERT INTO outbox (shard, event_id)
    SELECT crc32(convert_to(stream_key, 'UTF8')) % {SHARDS}, event_id FROM recorded ORDER BY sequence, event_id
)"""  # noqa: S608 - made of constants
"""CTEs that record the events of a CTE ``new_events`` and put them in the outbox, in the order of their sequences.

The certificates that they are about must be locked before: in the same transaction, or by what ``new_events`` reads.
"""


def new_events(parameter: str) -> str:
    """Return a CTE ``new_events`` that reads the JSON of ``event_rows`` from a parameter."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
    return f"""new_events AS (
    SELECT {COLUMNS} FROM jsonb_to_recordset(CAST({parameter} AS jsonb)) AS row ({columns})
)"""  # noqa: S608 - made of constants


_APPEND = text(f"WITH {new_events(':rows')}, {RECORD} SELECT")
_NEXT_SEQUENCES = text("""
    UPDATE certificates SET sequence = sequence + :count WHERE certificate_id = :certificate_id RETURNING sequence
""")


class EventRepository:
    """Appends events on a connection; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, certificate_id: str, records: Sequence[EventRecord]) -> int | None:
        """Append events that do not change their certificate, under its next sequence numbers, and lock its row.

        Returns:
            The sequence number of the last of them, or ``None`` if there is no such certificate.
        """
        values = {"count": len(records), "certificate_id": UUID(certificate_id)}
        last: int | None = (await self._connection.execute(_NEXT_SEQUENCES, values)).scalar_one_or_none()
        if last is not None:
            rows = event_rows(records, certificate_id, last - len(records) + 1)
            await self._connection.execute(_APPEND, {"rows": rows})
        return last

    async def append_keyed(self, stream_key: str, records: Sequence[EventRecord]) -> None:
        """Append events that belong to no certificate.

        ``stream_key`` is a product, or ``<topic>-<partition>`` of the input that an error is about.
        """
        await self._connection.execute(_APPEND, {"rows": event_rows(records, stream_key)})


def event_rows(records: Sequence[EventRecord], stream_key: str, first_sequence: int | None = None) -> str:
    """Return the JSON of events of one stream key; with a first sequence number they are a certificate's."""
    rows = [_row(record) | {"stream_key": stream_key} for record in records]
    if first_sequence is not None:
        for sequence, row in enumerate(rows, first_sequence):
            row |= {"certificate_id": stream_key, "sequence": sequence}
    return msgspec.json.encode(rows).decode()


def _row(record: EventRecord) -> dict[str, Any]:
    return {
        "event_id": uuid7(),
        "event_type": record.event_type,
        "occurred_at": record.occurred_at,
        "channel": record.channel,
        "sale_channel": record.sale_channel,
        "status": record.status,
        "refund_state": record.refund_state,
        "product_id": record.product,
        "nominal": record.nominal,
        "currency": record.currency,
        "balance": record.balance,
        "held": record.held,
        "cause_topic": record.cause.topic if record.cause else None,
        "cause_event_id": record.cause.event_id if record.cause else None,
        "payload": record.payload,
    }

"""Public events: recorded in the transaction of what they report, published from the outbox by dispatch.

``RECORD`` is the one way in which events are written, whatever statement it is part of.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from uuid_utils.compat import uuid7

from giftcert.contracts.notices import about_input
from giftcert.contracts.stream import EventRecord, StoredEvent
from giftcert.domain.certificate.events import OperatorActed
from giftcert.security.keyring import Keyring
from giftcert.storage.database import Connection
from giftcert.storage.event_texts import EventTextRepository
from giftcert.storage.repository import Repository, as_json, of_row

SHARDS = 32  # rows of ``outbox_shards``, by which processes share what stays in order per key
SHARD = f"crc32(convert_to({{}}, 'UTF8')) % {SHARDS}"  # of a stream key: the same for ever
COLUMNS = """event_id, stream_key, certificate_id, sequence, event_type, occurred_at, channel, sale_channel, status,
    refund_state, product_id, nominal, currency, balance, held, cause_topic, cause_event_id, payload"""
"""Of an event, and of the CTE ``new_events`` that ``RECORD`` reads."""

# The outbox reads what `events` returns: so whoever draws a position has a transaction id already, on which the lower
# bound of a shard rests (see outbox.py); and it sorts, so positions of a certificate rise with its sequence.
RECORD = f"""recorded AS (
    INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM new_events RETURNING event_id, stream_key, sequence
), queued AS (
    INSERT INTO outbox (shard, event_id)
    SELECT {SHARD.format("stream_key")}, event_id FROM recorded ORDER BY sequence, event_id
), unlinked AS (
    INSERT INTO unlinked_events SELECT event_id FROM recorded
)"""  # noqa: S608 - made of constants
"""CTEs that record the events of a CTE ``new_events`` and put them in the outbox, in the order of their sequences.

From ``unlinked_events`` maintenance links them into the audit chain.

The certificates that they are about must be locked before: in the same transaction, or by what ``new_events`` reads.
"""


def new_events(parameter: str) -> str:
    """Return a CTE ``new_events`` that reads the JSON of ``event_rows`` from a parameter."""
    return f"""new_events ({COLUMNS}) AS (
    SELECT event_id, stream_key, certificate_id, sequence, event_type, occurred_at, channel, sale_channel, status,
        refund_state, product, nominal, currency, balance, held, cause ->> 'topic', cause ->> 'event_id', payload
    FROM jsonb_to_recordset({parameter}::jsonb)
        AS row (event_id uuid, stream_key text, certificate_id uuid, sequence integer, record jsonb),
        jsonb_to_record(record) AS record (event_type text, occurred_at timestamptz, channel text, sale_channel text,
            status text, refund_state text, product text, nominal bigint, currency text, balance bigint, held bigint,
            cause jsonb, payload jsonb)
)"""  # noqa: S608 - made of constants


CHANGED = """
    c.certificate_id, c.sequence, c.status, c.blocked, c.refund_state, c.product_id, c.nominal, c.currency, c.balance,
    c.held, c.reservation_id"""
"""Columns of ``certificates AS c`` that an event says; whole rows made claims a twentieth slower."""


def events_of(changed: str, event_type: str, at: str, channel: str, payload: str) -> str:
    """Return CTEs that record an event of each certificate whose ``CHANGED`` the CTE ``changed`` returns."""
    return f"""new_events ({COLUMNS}) AS (
    SELECT uuidv7(), certificate_id::text, certificate_id, sequence, '{event_type}', {at}, {channel}, {channel},
        CASE WHEN blocked THEN 'blocked' ELSE status END, refund_state, product_id, nullif(nominal, 0), currency,
        balance, held, NULL, NULL, jsonb_build_object({payload})
    FROM {changed}
), {RECORD}"""  # noqa: S608 - made of constants


_APPEND = f"WITH {new_events('$1')}, {RECORD} SELECT"
_NEXT_SEQUENCES = (
    "UPDATE certificates SET sequence = sequence + $1 WHERE certificate_id = $2 RETURNING sequence"
)
EVENT = """
    e.event_id::text AS event_id, e.stream_key, e.certificate_id::text AS certificate_id, e.sequence, e.event_type,
    e.occurred_at, e.recorded_at, e.channel, e.sale_channel, e.status, e.refund_state, e.product_id AS product,
    e.nominal, e.currency, e.balance, e.held, e.cause_topic, e.cause_event_id, e.payload"""
"""Columns of ``events AS e`` that ``stored_event`` reads."""
_HISTORY = f"""
    SELECT {EVENT} FROM events AS e WHERE certificate_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3
"""  # noqa: S608 - made of constants
_UNPUBLISHED = "SELECT event_id::text FROM outbox JOIN events USING (event_id) WHERE certificate_id = $1"
_WAITS_SINCE = f"""
    SELECT EXISTS (
        SELECT FROM outbox AS o JOIN events AS e USING (event_id)
        WHERE o.shard = {SHARD.format("$1")} AND e.stream_key = $1 AND e.event_type = $2 AND e.recorded_at > $3
            AND e.payload ->> 'reason' = $4
    )
"""  # noqa: S608 - made of constants


class EventRepository(Repository):
    """Appends events and reads a certificate's.

    Without a keyring, events say nothing that others wrote.
    """

    def __init__(self, connection: Connection, keyring: Keyring | None = None) -> None:
        super().__init__(connection)
        self._keyring = keyring

    async def append(self, certificate_id: str, records: Sequence[EventRecord]) -> int | None:
        """Append events that do not change their certificate, under its next sequence numbers, and lock its row.

        Returns the sequence number of the last, or ``None`` if there is no such certificate.
        """
        last: int | None = await self._fetchval(_NEXT_SEQUENCES, len(records), certificate_id)
        if last is not None:
            records = await self._masked(records, certificate_id)
            await self._execute(_APPEND, event_rows(records, certificate_id, last - len(records) + 1))
        return last

    async def append_keyed(self, stream_key: str, records: Sequence[EventRecord]) -> None:
        """Append events of a product, or, as ``<topic>-<partition>``, of the input that an error is about."""
        await self._execute(_APPEND, event_rows(await self._masked(records), stream_key))

    async def append_act(self, stream_key: str, who: str, what: str, at: datetime) -> None:
        """Append what a person did that is about no single certificate, in the transaction in which it is done."""
        await self.append_keyed(stream_key, [about_input(OperatorActed(who=who, what=what), at)])

    async def append_once(self, stream_key: str, record: EventRecord, since: datetime) -> bool:
        """Append an event and return ``True``, unless one of its type, key and reason was recorded since and waits."""
        if await self._fetchval(_WAITS_SINCE, stream_key, record.event_type, since, record.payload["reason"]):
            return False
        await self.append_keyed(stream_key, [record])
        return True

    async def history(
        self, certificate_id: UUID | str, after: int = 0, limit: int | None = None
    ) -> list[StoredEvent]:
        """Return a certificate's events behind a sequence number, in order."""
        return [stored_event(row) for row in await self._fetch(_HISTORY, certificate_id, after, limit)]

    async def unpublished(self, certificate_id: UUID | str) -> set[str]:
        """Return the ids of a certificate's events that the stream has not acknowledged."""
        return {row[0] for row in await self._fetch(_UNPUBLISHED, certificate_id)}

    async def _masked(
        self, records: Sequence[EventRecord], certificate_id: str | None = None
    ) -> Sequence[EventRecord]:
        texts = EventTextRepository(self._connection, self._keyring)
        return await texts.masked(records, certificate_id)


def stored_event(row: Record) -> StoredEvent:
    """Return the event of a row of ``EVENT``."""
    return of_row(StoredEvent, row)


def event_rows(records: Sequence[EventRecord], stream_key: str, first_sequence: int | None = None) -> str:
    """Return the JSON of events, with masks already, of one stream key.

    With a first sequence number they are a certificate's.
    """
    rows = [{"event_id": uuid7(), "stream_key": stream_key, "record": record} for record in records]
    if first_sequence is not None:
        for sequence, row in enumerate(rows, first_sequence):
            row |= {"certificate_id": stream_key, "sequence": sequence}
    return as_json(rows)

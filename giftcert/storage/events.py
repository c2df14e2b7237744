"""Public events: written in the transaction of what they tell, published by dispatch afterwards."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from giftcert.contracts.records import EventRecord
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.shards import SHARDS, shard_of

_COLUMNS = """event_type text, occurred_at timestamptz, channel text, sale_channel text, status text,
    refund_state text, product_id text, nominal bigint, currency text, balance bigint, held bigint,
    cause_topic text, cause_event_id text, payload jsonb"""
_NAMES = ", ".join(column.split()[0] for column in _COLUMNS.split(","))
_ROWS = f"""ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS (event_id uuid, {_COLUMNS}))
    WITH ORDINALITY AS told (event_id, {_NAMES}, nth)"""

# One trip: the sequence numbers are taken under the row's lock, which stays until the transaction ends.
_APPEND = text(f"""
    WITH taken AS (
        UPDATE certificates SET sequence = sequence + :count WHERE certificate_id = :certificate_id
        RETURNING sequence - :count AS before
    ), written AS (
        INSERT INTO events (shard, stream_key, certificate_id, sequence, event_id, {_NAMES})
        SELECT :shard, :stream_key, :certificate_id, before + nth, event_id, {_NAMES}
        FROM taken, {_ROWS} ORDER BY nth
    )
    SELECT before + :count FROM taken
""")  # noqa: S608 - made of constants
# The same for many certificates, whose rows the caller has locked.
_APPEND_ALL = text(f"""
    WITH told AS MATERIALIZED (
        SELECT certificate_id, told.*
        FROM unnest(CAST(:certificate_ids AS uuid[])) WITH ORDINALITY AS owners (certificate_id, nth)
            JOIN {_ROWS} USING (nth)
    ), taken AS (
        UPDATE certificates AS c SET sequence = sequence + counted.events
        FROM (SELECT certificate_id, count(*)::integer AS events FROM told GROUP BY certificate_id) AS counted
        WHERE c.certificate_id = counted.certificate_id
        RETURNING c.certificate_id, c.sequence - counted.events AS before
    )
    INSERT INTO events (shard, stream_key, certificate_id, sequence, event_id, {_NAMES})
    SELECT crc32(certificate_id::text::bytea) % {SHARDS}, certificate_id::text, certificate_id,
        before + row_number() OVER (PARTITION BY certificate_id ORDER BY nth), event_id, {_NAMES}
    FROM told JOIN taken USING (certificate_id) ORDER BY nth
""")  # noqa: S608 - made of constants
_APPEND_KEYED = text(f"""
    INSERT INTO events (shard, stream_key, event_id, {_NAMES})
    SELECT :shard, :stream_key, event_id, {_NAMES} FROM {_ROWS} ORDER BY nth
""")  # noqa: S608 - made of constants


class EventRepository:
    """Appends events on a connection; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, certificate_id: str, records: Sequence[EventRecord]) -> int:
        """Append events of a certificate under its next sequence numbers, and lock its row.

        Returns:
            The sequence number of the last of them.

        Raises:
            UnknownCertificateError: there is no such certificate.
        """
        result = await self._connection.execute(
            _APPEND,
            {
                "count": len(records),
                "certificate_id": UUID(certificate_id),
                "stream_key": certificate_id,
                "shard": shard_of(certificate_id),
                "rows": _rows(records),
            },
        )
        last: int | None = result.scalar_one_or_none()
        if last is None:
            raise UnknownCertificateError(certificate_id)
        return last

    async def append_all(self, told: Sequence[tuple[UUID, EventRecord]]) -> None:
        """Append events of many certificates, each under its certificate's next sequence numbers."""
        rows = _rows([record for _, record in told])
        values = {"certificate_ids": [certificate_id for certificate_id, _ in told], "rows": rows}
        await self._connection.execute(_APPEND_ALL, values)

    async def append_keyed(self, stream_key: str, records: Sequence[EventRecord]) -> None:
        """Append events that belong to no certificate.

        ``stream_key`` is a product, or ``<topic>-<partition>`` of the input that an error is about.
        """
        await self._connection.execute(
            _APPEND_KEYED, {"stream_key": stream_key, "shard": shard_of(stream_key), "rows": _rows(records)}
        )


def _rows(records: Sequence[EventRecord]) -> str:
    return msgspec.json.encode([_row(record) for record in records]).decode()


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

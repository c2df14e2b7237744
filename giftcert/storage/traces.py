"""All that is kept of one certificate's life, without anything secret or personal; for ``giftcert trace``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_CERTIFICATE = text("""
    SELECT c.certificate_id::text AS certificate_id, c.product_id AS product, c.currency,
        nullif(c.nominal, 0) AS nominal, CASE WHEN c.blocked THEN 'blocked' ELSE c.status END AS status,
        c.refund_state, c.balance, c.held, c.order_id, l.line_id, c.sequence, c.version, c.next_instant
    FROM certificates AS c LEFT JOIN order_lines AS l ON l.order_id = c.order_id AND l.line_key = c.line_key
    WHERE c.certificate_id = :certificate_id
""")
# The orders whose lines name it: those of its state, and those that its events speak of. Of a payment that spends it
# for an order without certificates only what the certificate is told is kept, not where it stood.
_INPUTS = text("""
    WITH received AS (
        SELECT topic, partition, record_offset, event_id, event_type, order_id, received_at
        FROM inbox WHERE order_id IN (
            SELECT payload ->> 'orderId' FROM events WHERE certificate_id = :certificate_id
            UNION SELECT order_id FROM pending WHERE certificate_id = :certificate_id
            UNION SELECT named #>> '{}' FROM certificates, jsonb_path_query(state, 'strict $.**.order_id') AS named
            WHERE certificate_id = :certificate_id
        )
    ), spent AS (
        SELECT message #>> '{cause,topic}' AS topic, message #>> '{cause,event_id}' AS event_id,
            'payment.' || (message ->> 'kind') AS event_type, message ->> 'order_id' AS order_id, received_at
        FROM spendings WHERE certificate_id = :certificate_id
    )
    SELECT * FROM received
    UNION ALL SELECT topic, NULL, NULL, event_id, event_type, order_id, received_at FROM spent
    WHERE (topic, event_id) NOT IN (SELECT topic, event_id FROM received)
    ORDER BY received_at, topic, partition, record_offset
""")
_PENDING = text("""
    SELECT kind, order_id, since, signalled_at FROM pending WHERE certificate_id = :certificate_id
    ORDER BY since, order_id, line_key
""")
_PARKED = text("""
    SELECT work ->> 'kind' AS kind, work ->> 'error' AS error, CAST(work ->> 'since' AS timestamptz) AS since
    FROM certificates, jsonb_array_elements(parked) AS work WHERE certificate_id = :certificate_id
""")
# The reason of a person's act is free text and may hold anything.
_EVENTS = text("""
    SELECT event_id::text AS event_id, sequence, event_type, recorded_at, status, refund_state, balance, held,
        cause_topic, cause_event_id, CASE WHEN event_type NOT LIKE 'audit.%' THEN payload ->> 'reason' END AS reason,
        EXISTS (SELECT FROM outbox AS o WHERE o.event_id = e.event_id) AS waits
    FROM events AS e WHERE certificate_id = :certificate_id ORDER BY sequence
""")


@dataclass(frozen=True, slots=True)
class TracedCertificate:
    """How a certificate stands; amounts in minor units of ``currency``."""

    certificate_id: str
    product: str
    currency: str
    nominal: int | None
    status: str
    refund_state: str
    balance: int
    held: int
    order_id: str | None
    line_id: str | None
    sequence: int
    version: int
    next_instant: datetime | None


@dataclass(frozen=True, slots=True)
class TracedInput:
    """A record of an input topic that concerns the certificate, at its position if that is kept."""

    topic: str
    partition: int | None
    offset: int | None
    event_id: str
    event_type: str
    order_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class TracedPending:
    """What waits to be decided; ``order_id`` is empty for spendings."""

    kind: str
    order_id: str
    since: datetime
    signalled_at: datetime | None


@dataclass(frozen=True, slots=True)
class TracedParked:
    """What could not be decided, for a fault of the service."""

    kind: str
    error: str
    since: datetime


@dataclass(frozen=True, slots=True)
class TracedEvent:
    """A public event; ``waits`` until the stream has acknowledged it."""

    event_id: str
    sequence: int
    event_type: str
    recorded_at: datetime
    status: str | None
    refund_state: str | None
    balance: int | None
    held: int | None
    cause_topic: str | None
    cause_event_id: str | None
    reason: str | None
    waits: bool


class TraceRepository:
    """Reads one certificate's life; changes nothing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def certificate(self, certificate_id: UUID) -> TracedCertificate | None:
        """Return how it stands, or ``None`` if there is no such certificate."""
        result = await self._connection.execute(_CERTIFICATE, {"certificate_id": certificate_id})
        row = result.one_or_none()
        return TracedCertificate(*row) if row is not None else None

    async def inputs(self, certificate_id: UUID) -> Sequence[TracedInput]:
        """Return the records about its orders, as far as they are kept."""
        rows = await self._connection.execute(_INPUTS, {"certificate_id": certificate_id})
        return [TracedInput(*row) for row in rows]

    async def pending(self, certificate_id: UUID) -> Sequence[TracedPending]:
        """Return what waits to be decided, the oldest first."""
        rows = await self._connection.execute(_PENDING, {"certificate_id": certificate_id})
        return [TracedPending(*row) for row in rows]

    async def parked(self, certificate_id: UUID) -> Sequence[TracedParked]:
        """Return what could not be decided."""
        rows = await self._connection.execute(_PARKED, {"certificate_id": certificate_id})
        return [TracedParked(*row) for row in rows]

    async def events(self, certificate_id: UUID) -> Sequence[TracedEvent]:
        """Return all its public events, in sequence."""
        rows = await self._connection.execute(_EVENTS, {"certificate_id": certificate_id})
        return [TracedEvent(*row) for row in rows]

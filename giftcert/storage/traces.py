"""All that is kept of one certificate's life, without anything secret or personal; for ``giftcert trace``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_CERTIFICATE = text("""
    SELECT certificate_id::text AS certificate_id, product_id AS product, currency, nullif(nominal, 0) AS nominal,
        CASE WHEN blocked THEN 'blocked' ELSE status END AS status, refund_state, balance, held, order_id, line_id,
        sequence, version
    FROM certificates WHERE certificate_id = :certificate_id
""")
# Of the message only its kind and cause: the rest may name a recipient.
_DELIVERIES = text("""
    SELECT message_key AS key, created_at, sent_at, body ->> 'kind' AS kind, body #>> '{body,cause,topic}' AS topic,
        body #>> '{body,cause,event_id}' AS event_id
    FROM deliveries, LATERAL (SELECT convert_from(message, 'UTF8')::jsonb) AS told (body)
    WHERE certificate_id = :certificate_id ORDER BY delivery_id
""")
_DECISIONS = text("""
    SELECT message_key AS key, applied_at FROM applied_messages
    WHERE certificate_id = :certificate_id ORDER BY applied_at, message_key
""")
_INPUTS = text("""
    SELECT identity, topic, partition, record_offset AS offset, event_id, event_type, received_at
    FROM inbox WHERE identity = ANY(:identities)
""")
# The reason of a person's act is free text and may hold anything.
_EVENTS = text("""
    SELECT event_id::text AS event_id, sequence, event_type, recorded_at, published_at, status, refund_state, balance,
        held, cause_topic, cause_event_id,
        CASE WHEN event_type NOT LIKE 'audit.%' THEN payload ->> 'reason' END AS reason
    FROM events WHERE certificate_id = :certificate_id ORDER BY sequence
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


@dataclass(frozen=True, slots=True)
class TracedDelivery:
    """What the certificate had to be told; ``topic`` and ``event_id`` are of the record that it came from."""

    key: str
    created_at: datetime
    sent_at: datetime | None
    kind: str
    topic: str | None
    event_id: str | None


@dataclass(frozen=True, slots=True)
class TracedInput:
    """A record of an input topic, at its position."""

    identity: str
    topic: str
    partition: int
    offset: int
    event_id: str
    event_type: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class TracedDecision:
    """When the message with this key was decided upon and its outcome committed."""

    key: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class TracedEvent:
    """A public event; ``published_at`` is ``None`` until the stream has acknowledged it."""

    event_id: str
    sequence: int
    event_type: str
    recorded_at: datetime
    published_at: datetime | None
    status: str | None
    refund_state: str | None
    balance: int | None
    held: int | None
    cause_topic: str | None
    cause_event_id: str | None
    reason: str | None


class TraceRepository:
    """Reads one certificate's life; changes nothing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def certificate(self, certificate_id: UUID) -> TracedCertificate | None:
        """Return how it stands, or ``None`` if there is no such certificate."""
        result = await self._connection.execute(_CERTIFICATE, {"certificate_id": certificate_id})
        row = result.one_or_none()
        return TracedCertificate(*row) if row is not None else None

    async def deliveries(self, certificate_id: UUID) -> list[TracedDelivery]:
        """Return what it had to be told, in order."""
        rows = await self._connection.execute(_DELIVERIES, {"certificate_id": certificate_id})
        return [TracedDelivery(*row) for row in rows]

    async def decisions(self, certificate_id: UUID) -> list[TracedDecision]:
        """Return which messages were decided upon, and when."""
        rows = await self._connection.execute(_DECISIONS, {"certificate_id": certificate_id})
        return [TracedDecision(*row) for row in rows]

    async def inputs(self, identities: Sequence[str]) -> list[TracedInput]:
        """Return the records of these identities, as far as the inbox has them; clients never are there."""
        rows = await self._connection.execute(_INPUTS, {"identities": list(identities)})
        return [TracedInput(*row) for row in rows]

    async def events(self, certificate_id: UUID) -> list[TracedEvent]:
        """Return all its public events, in sequence."""
        rows = await self._connection.execute(_EVENTS, {"certificate_id": certificate_id})
        return [TracedEvent(*row) for row in rows]

"""Records of the topics that concern one certificate, and what waits for it; for ``giftcert trace``."""

from dataclasses import dataclass
from datetime import datetime

from giftcert.storage.repository import Repository

# The orders whose lines name it: those of its state, and those that its events speak of. Of a payment that spends it
# for an order without certificates only what concerns the certificate is kept, not its place in the topic.
_INPUTS = """
    WITH received AS (
        SELECT topic, partition, record_offset, event_id, event_type, order_id, received_at
        FROM inbox WHERE order_id IN (
            SELECT payload ->> 'orderId' FROM events WHERE certificate_id = $1
            UNION SELECT order_id FROM pending WHERE certificate_id = $1
            UNION SELECT named #>> '{}' FROM certificates, jsonb_path_query(state, 'strict $.**.order_id') AS named
            WHERE certificate_id = $1
        )
    ), spent AS (
        SELECT message #>> '{cause,topic}' AS topic, message #>> '{cause,event_id}' AS event_id,
            'payment.' || (message ->> 'kind') AS event_type, message ->> 'order_id' AS order_id, received_at
        FROM spendings WHERE certificate_id = $1
    )
    SELECT * FROM received
    UNION ALL SELECT topic, NULL, NULL, event_id, event_type, order_id, received_at FROM spent
    WHERE (topic, event_id) NOT IN (SELECT topic, event_id FROM received)
    ORDER BY received_at, topic, partition, record_offset
"""
_PENDING = """
    SELECT kind, order_id, since, signalled_at FROM pending WHERE certificate_id = $1
    ORDER BY since, order_id, line_key
"""


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


class TraceRepository(Repository):
    """Reads what concerned one certificate, and what waits for it."""

    async def inputs(self, certificate_id: str) -> list[TracedInput]:
        """Return the records about its orders, as far as they are kept."""
        return [TracedInput(*row) for row in await self._fetch(_INPUTS, certificate_id)]

    async def pending(self, certificate_id: str) -> list[TracedPending]:
        """Return what waits to be decided, the oldest first."""
        return [TracedPending(*row) for row in await self._fetch(_PENDING, certificate_id)]

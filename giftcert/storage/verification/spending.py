"""Payments made with a certificate: the one that pays has to be told."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from giftcert.storage.verification.session import Session

FETCHED_AT_ONCE = 1_000

_SPENDING = """
    SELECT identity, topic, partition, record_offset, original FROM inbox AS i
    WHERE event_type LIKE 'payment.%' AND received_at > $1 AND position('giftCertificate'::bytea IN original) > 0
        AND NOT EXISTS (
            SELECT FROM quarantine AS q WHERE q.topic = i.topic AND q.partition = i.partition
                AND q.record_offset = i.record_offset AND q.replayed_at IS NULL
        ) -- told as unknown, and waits for a replay also if its certificate was imported since
"""
_UNTOLD = """
    SELECT p.certificate_id, p.message_key FROM unnest($1::text[], $2::text[]) AS p (certificate_id, message_key)
    JOIN certificates c ON c.certificate_id::text = p.certificate_id
    LEFT JOIN deliveries d ON d.certificate_id = c.certificate_id AND d.message_key = p.message_key
    WHERE d.delivery_id IS NULL
"""


@dataclass(frozen=True, slots=True)
class SpendingInput:
    """A payment message in the inbox that may be one with a certificate."""

    identity: str
    topic: str
    partition: int
    offset: int
    original: bytes


class SpendingRepository:
    """Reads payments with certificates."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def inputs(self, since: datetime) -> AsyncIterator[SpendingInput]:
        """Yield the messages, within a snapshot."""
        async for row in self._session.cursor(_SPENDING, since, prefetch=FETCHED_AT_ONCE):
            yield SpendingInput(*row)

    async def untold(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those pairs of a certificate of ours and a message key of which there is no delivery."""
        rows = await self._session.fetch(_UNTOLD, [one for one, _ in pairs], [key for _, key in pairs])
        return [(row[0], row[1]) for row in rows]

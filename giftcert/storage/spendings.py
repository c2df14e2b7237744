"""Payments by certificates, each applied once by the certificate that it names. Table ``spendings``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.certificate.messages import SpendingReported
from giftcert.storage.repository import Repository, Write, as_json, by_column

_CONTENTS = "SELECT identity, content FROM spendings WHERE identity = ANY($1)"
_CHANNELS = """
    SELECT certificate_id::text, coalesce(sale_channel, reservation_channel) FROM certificates
    WHERE certificate_id = ANY($1::uuid[])
"""
_ADD_SPENDINGS = """
    INSERT INTO spendings (identity, content, certificate_id, message, received_at)
    SELECT identity, content, certificate_id, message::jsonb, {}
    FROM unnest({}::text[], {}::bytea[], {}::uuid[], {}::text[]) WITH ORDINALITY
        AS new (identity, content, certificate_id, message, nth)
    ORDER BY nth
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """A payment by a certificate of ours."""

    identity: str  # what repeats of it share
    content: bytes  # what they must not differ in
    certificate_id: str
    channel: str  # the task queue of the certificate's workflow, which is not stored
    message: SpendingReported


class SpendingRepository(Repository):
    """Reads spendings in batches."""

    async def contents(self, identities: Iterable[str]) -> dict[str, bytes]:
        """Return the content of those that are stored, by identity."""
        return {row[0]: row[1] for row in await self._fetch(_CONTENTS, list(identities))}

    async def channels(self, certificate_ids: Iterable[str]) -> dict[str, str | None]:
        """Return which of these certificates are ours, each with the channel that sells it, if one does."""
        return {row[0]: row[1] for row in await self._fetch(_CHANNELS, list(certificate_ids))}


def spent(spendings: Sequence[Spending], now: datetime) -> Write:
    """Store spendings in this order; fails if another transaction has stored one of them meanwhile."""
    rows = ((one.identity, one.content, one.certificate_id, as_json(one.message)) for one in spendings)
    return Write(_ADD_SPENDINGS, [now, *by_column(rows)])

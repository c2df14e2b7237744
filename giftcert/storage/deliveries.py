"""Deliveries: what each certificate has to be told, and whether its workflow has been told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of
from giftcert.storage.shards import shard_of

_ADD = """
    INSERT INTO deliveries (certificate_id, message_key, shard, channel, message)
    SELECT certificate_id, message_key, shard, channel, message
    FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::text[], $5::bytea[]) WITH ORDINALITY
        AS new (certificate_id, message_key, shard, channel, message, nth)
    ORDER BY nth
    ON CONFLICT DO NOTHING
"""
_UNSENT = """
    SELECT d.delivery_id, d.certificate_id::text, d.channel, d.message, c.product_id,
        EXISTS (
            SELECT FROM deliveries e WHERE e.certificate_id = d.certificate_id AND e.delivery_id < d.delivery_id
        ) AS follows
    FROM deliveries d LEFT JOIN certificates c USING (certificate_id)
"""
_UNSENT_OF = (
    f"{_UNSENT} WHERE d.certificate_id = ANY($1::uuid[]) AND d.sent_at IS NULL ORDER BY d.delivery_id"
)
# The oldest first, so of each certificate a run without gaps.
_UNSENT_IN = f"{_UNSENT} WHERE d.shard = $1 AND d.sent_at IS NULL ORDER BY d.delivery_id LIMIT $2"
# Whoever sweeps a shard has it to itself for a while; two that send the same do no harm.
_CLAIM = """
    WITH next AS (
        SELECT s.shard FROM shards s, LATERAL (
            SELECT d.created_at FROM deliveries d WHERE d.shard = s.shard AND d.sent_at IS NULL
            ORDER BY d.delivery_id LIMIT 1
        ) AS oldest
        WHERE s.purpose = 'signals' AND oldest.created_at < clock_timestamp() - make_interval(secs => $1)
            AND s.last_run < clock_timestamp() - make_interval(secs => $1)
        ORDER BY s.last_run LIMIT 1 FOR UPDATE OF s SKIP LOCKED
    )
    UPDATE shards SET last_run = clock_timestamp() FROM next
    WHERE shards.purpose = 'signals' AND shards.shard = next.shard RETURNING shards.shard
"""
_MARK = "UPDATE deliveries SET sent_at = clock_timestamp() WHERE delivery_id = ANY($1::bigint[]) AND sent_at IS NULL"
_COUNT = "SELECT count(*) FROM deliveries WHERE sent_at IS NULL"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message for one certificate; ``message`` is encoded, ``channel`` names the task queue of a new workflow."""

    certificate_id: str
    key: str
    channel: str
    message: bytes


@dataclass(frozen=True, slots=True)
class UnsentDelivery:
    """A delivery whose workflow is not known to have it; ``follows``: the certificate had one before."""

    delivery_id: int
    certificate_id: str
    channel: str
    message: bytes
    product: str | None
    follows: bool


class DeliveryRepository:
    """Reads and writes deliveries in batches; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, deliveries: Sequence[NewDelivery]) -> None:
        """Add deliveries in this order; what a certificate was to be told already is left out."""
        driver = await driver_of(self._connection)
        await driver.execute(
            _ADD,
            [one.certificate_id for one in deliveries],
            [one.key for one in deliveries],
            [shard_of(one.certificate_id) for one in deliveries],
            [one.channel for one in deliveries],
            [one.message for one in deliveries],
        )

    async def unsent_of(self, certificate_ids: Iterable[str]) -> list[UnsentDelivery]:
        """Return all that these certificates are still to be told, in order: who sends one sends all before it."""
        driver = await driver_of(self._connection)
        return [UnsentDelivery(*row) for row in await driver.fetch(_UNSENT_OF, list(certificate_ids))]

    async def claim_left_over(self, older_than_seconds: float, limit: int) -> list[UnsentDelivery]:
        """Take the next shard with a delivery older than this, which no one has swept for as long.

        Returns:
            The shard's unsent deliveries, oldest first; none where there is no such shard.
        """
        driver = await driver_of(self._connection)
        shard = await driver.fetchval(_CLAIM, older_than_seconds)
        if shard is None:
            return []
        return [UnsentDelivery(*row) for row in await driver.fetch(_UNSENT_IN, shard, limit)]

    async def mark_sent(self, delivery_ids: Sequence[int]) -> None:
        """Remember that the workflows have these."""
        driver = await driver_of(self._connection)
        await driver.execute(_MARK, list(delivery_ids))

    async def count_unsent(self) -> int:
        """Return how many deliveries wait."""
        driver = await driver_of(self._connection)
        return int(await driver.fetchval(_COUNT))

"""What the sweep looks for: pending rows that nobody decides, certificates that nobody looks at when they are due.

A look begins at a lower bound, below which nothing waits nor can come, so that it passes over no dead entries.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record

from giftcert.storage.repository import Repository, of_row
from giftcert.temporal.signals import Signal, Wake

UNSIGNALLED = timedelta(seconds=5)  # younger rows are most likely in the memory of who committed them
UNDECIDED = timedelta(seconds=20)
OVERDUE = timedelta(seconds=15)
STALLED = timedelta(seconds=45)  # longer than a time-out of Temporal's takes to hand a task out once more
LONGEST = timedelta(minutes=10)  # each further signal comes after a wait as long as all before it, up to this
BOUND_BEHIND = timedelta(minutes=2)  # longer than any transaction

_OF_CERTIFICATE = f"""c.certificate_id::text, '{Signal.REQUEST_DECIDED.value}' AS kind,
    coalesce(sale_channel, reservation_channel) AS channel, product_id AS product, order_id, NULL AS cause, timer_at"""
# Rows that others hold are being worked on. What is claimed here is signalled at once, or given back.
_CLAIM_PENDING = """
    WITH due AS (
        SELECT p.certificate_id, p.order_id, p.line_key, c.product_id, c.timer_at
        FROM pending AS p JOIN certificates AS c USING (certificate_id)
        WHERE p.since >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'pending')
            AND p.since < $1::timestamptz - $3::interval
            AND (p.signalled_at IS NULL
                OR p.signalled_at < $1 - least(greatest(p.signalled_at - p.since, $4::interval), $5::interval))
            AND c.parked IS NULL
        ORDER BY p.since LIMIT $2 FOR NO KEY UPDATE OF p SKIP LOCKED
    )
    UPDATE pending AS p SET signalled_at = $1 FROM due
    WHERE (p.certificate_id, p.order_id, p.line_key) = (due.certificate_id, due.order_id, due.line_key)
    RETURNING p.certificate_id::text, p.kind, p.channel, due.product_id AS product,
        nullif(p.order_id, '') AS order_id, p.cause_event_id AS cause, due.timer_at
"""
_CLAIM_DUE = f"""
    WITH due AS (
        SELECT certificate_id FROM certificates
        WHERE next_instant >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'certificates')
            AND next_instant <= $1::timestamptz
            AND (timer_at IS NULL OR timer_at > next_instant OR next_instant < $1 - $3::interval)
            AND (swept_at IS NULL OR swept_at < next_instant
                OR swept_at < $1 - least(greatest(swept_at - next_instant, $3::interval), $4::interval))
            AND parked IS NULL
        ORDER BY next_instant LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE certificates AS c SET swept_at = $1 FROM due WHERE c.certificate_id = due.certificate_id
    RETURNING {_OF_CERTIFICATE}
"""  # noqa: S608 - made of constants
_GIVE_BACK = """
    WITH due AS (
        UPDATE certificates SET swept_at = NULL WHERE certificate_id IN (
            SELECT certificate_id FROM certificates WHERE certificate_id = ANY($1::uuid[])
            FOR NO KEY UPDATE SKIP LOCKED)
    )
    UPDATE pending SET signalled_at = NULL WHERE (certificate_id, order_id, line_key) IN (
        SELECT certificate_id, order_id, line_key FROM pending WHERE certificate_id = ANY($1::uuid[])
        FOR NO KEY UPDATE SKIP LOCKED)
"""
# Rarely, so that the row of the bound does not grow versions.
_RAISE_BOUNDS = """
    UPDATE sweep_bounds SET looked_to = bound.looked_to
    FROM (
        SELECT 'pending' AS kind, least($1::timestamptz, min(since)) AS looked_to FROM pending
        WHERE since >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'pending')
        UNION ALL
        SELECT 'certificates', least($1, min(next_instant)) FROM certificates
        WHERE next_instant >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'certificates')
        UNION ALL
        SELECT 'orders', least(clock_timestamp() - $2::interval, min(mapped_at)) FROM orders
        WHERE recheck AND mapped_at >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'orders')
    ) AS bound
    WHERE sweep_bounds.kind = bound.kind AND sweep_bounds.looked_to < bound.looked_to
"""
_LED = f"""
    SELECT {_OF_CERTIFICATE} FROM certificates AS c
    WHERE certificate_id = ANY($1::uuid[]) AND next_instant IS NOT NULL AND parked IS NULL
"""  # noqa: S608 - made of constants
# What was signalled and still is not decided: in order of age, as the oldest has waited longest for help.
_STALLED = f"""
    WITH stalled AS (
        SELECT certificate_id, since FROM pending
        WHERE since >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'pending')
            AND since < $1::timestamptz - $3::interval AND signalled_at IS NOT NULL
        UNION ALL
        SELECT certificate_id, next_instant FROM certificates
        WHERE next_instant >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'certificates')
            AND next_instant < $1 - $3 AND swept_at >= next_instant
    ), oldest AS (
        SELECT certificate_id, min(since) AS since FROM stalled GROUP BY certificate_id ORDER BY 2 LIMIT $2
    )
    SELECT {_OF_CERTIFICATE} FROM oldest JOIN certificates AS c USING (certificate_id)
    WHERE parked IS NULL ORDER BY oldest.since
"""  # noqa: S608 - made of constants
_COUNT = """
    SELECT count(*) FROM (
        SELECT FROM pending WHERE since >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'pending') LIMIT 10000
    ) AS waiting
"""


@dataclass(frozen=True, slots=True)
class Neglected:
    """A signal to send again."""

    wake: Wake
    had_run: bool  # a workflow should be waiting on its timer


class SweepRepository(Repository):
    """Claims what is to be signalled again."""

    async def claim_pending(self, now: datetime, limit: int, default_channel: str) -> list[Neglected]:
        """Return signals of pending rows that were not signalled, or not decided, for too long."""
        rows = await self._fetch(_CLAIM_PENDING, now, limit, UNSIGNALLED, UNDECIDED, LONGEST)
        return [_neglected(row, default_channel) for row in rows]

    async def claim_due(self, now: datetime, limit: int, default_channel: str) -> list[Neglected]:
        """Return signals to certificates that are due and have no timer that early, or are overdue in any case."""
        rows = await self._fetch(_CLAIM_DUE, now, limit, OVERDUE, LONGEST)
        return [_neglected(row, default_channel) for row in rows]

    async def give_back(self, certificate_ids: list[str]) -> None:
        """Have the next look find these again: they could not be signalled."""
        await self._execute(_GIVE_BACK, certificate_ids)

    async def led_among(self, certificate_ids: list[str], default_channel: str) -> list[Neglected]:
        """Return signals to those of the certificates that still have something to wait for."""
        return [_neglected(row, default_channel) for row in await self._fetch(_LED, certificate_ids)]

    async def stalled(self, now: datetime, limit: int, default_channel: str) -> list[Neglected]:
        """Return signals to those that were signalled and have decided nothing for long, the oldest first."""
        rows = await self._fetch(_STALLED, now, limit, STALLED)
        return [_neglected(row, default_channel) for row in rows]

    async def raise_bounds(self, now: datetime) -> None:
        """Move the lower bounds up to what waits longest, and no nearer than transactions last."""
        await self._execute(_RAISE_BOUNDS, now - BOUND_BEHIND, BOUND_BEHIND)

    async def count_pending(self) -> int:
        """Return how many rows wait; from 10,000 on it is not counted further."""
        return int(await self._fetchval(_COUNT))


def _neglected(row: Record, default_channel: str) -> Neglected:
    channel, signal = row["channel"] or default_channel, Signal(row["kind"])
    return Neglected(of_row(Wake, row, channel=channel, signal=signal), row["timer_at"] is not None)

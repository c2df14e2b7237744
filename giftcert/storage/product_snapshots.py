"""Figures of each product, hour by hour, added up from the events recorded since the hour before (ADR 85)."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta

from giftcert.contracts.notices import ProductSnapshot, StatusCounts, about_product
from giftcert.contracts.payload import camel_case
from giftcert.domain.identifiers import uuid7
from giftcert.storage.database import Connection, Database
from giftcert.storage.events import EventRepository
from giftcert.storage.outbox import next_transaction
from giftcert.storage.repository import Repository

ID_SKEW = timedelta(hours=1)
"""An event's id is made before the event is recorded, by another clock: they differ by less than that."""
DELAY = timedelta(seconds=1)
"""A transaction reads the clock for an event before it has an id, by which it is waited for: a moment before."""
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LOOKS, _LOOK_SECONDS = 20, 0.1
_ADDING_SECONDS = 50.0  # an hour of millions of events
_ADDING_ALL_SECONDS = 3_600.0

# $1 how often, $2 the delay. Where no snapshot was recorded yet the last such instant is due, else the next one.
_DUE = """
    SELECT as_of AS since, due FROM snapshot_mark CROSS JOIN LATERAL (
        SELECT coalesce(
            date_bin($1, as_of, 'epoch') + $1::interval, date_bin($1, clock_timestamp() - $2::interval, 'epoch')
        ) AS due
    ) AS next WHERE due + $2::interval <= clock_timestamp()
"""
_LOCK = "SELECT FROM snapshot_mark FOR UPDATE"
_ALL_ENDED = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= $1"
# Events recorded from $1, if that is an instant, and before $2, whose ids are from $3 and before $4. OFFSET 0 keeps the
# server from joining the whole table: each event is compared with the one before it. Sums come before figures: events
# are many, their kinds few.
_ADD_UP = """
WITH sums AS MATERIALIZED (
    SELECT now.product_id, event_type, coalesce(before.status, 'available') AS was, now.status, before_issue,
        count(*) AS certificates, sum(nominal) AS nominal, sum(now.held - coalesce(before.held, 0)) AS held,
        sum(now.balance + now.held - coalesce(before.balance + before.held, 0)) AS owed,
        sum((payload #>> '{amount,amount}')::bigint) FILTER (WHERE is_money) AS amount,
        sum((payload #>> '{excess,amount}')::bigint) FILTER (WHERE is_money) AS excess,
        sum((payload #>> '{taken,amount}')::bigint) FILTER (WHERE is_money) AS taken,
        sum((payload #>> '{uncovered,amount}')::bigint) FILTER (WHERE is_money) AS uncovered,
        sum((payload #>> '{breakage,amount}')::bigint) FILTER (WHERE is_money) AS breakage
    FROM events AS now CROSS JOIN LATERAL (
        SELECT event_type IN ('issue.completed', 'redemption.captured', 'redemption.restored', 'refund.completed',
                'audit.expired') AS is_money,
            event_type = 'refund.completed' AND payload ->> 'beforeIssue' = 'true' AS before_issue
    ) AS kind LEFT JOIN LATERAL (
        SELECT status, balance, held FROM events
        WHERE certificate_id = now.certificate_id AND sequence = now.sequence - 1 OFFSET 0
    ) AS before ON true
    WHERE certificate_id IS NOT NULL AND recorded_at >= coalesce($1, timestamptz '-infinity') AND recorded_at < $2
        AND event_id >= $3::uuid AND event_id < $4::uuid
    GROUP BY 1, 2, 3, 4, 5
), changes (product_id, figure, change) AS (
    SELECT product_id, 'statuses.available', (payload ->> 'count')::bigint FROM events
    WHERE certificate_id IS NULL AND event_type = 'audit.imported' AND event_id >= $3::uuid AND event_id < $4::uuid
        AND recorded_at >= coalesce($1, timestamptz '-infinity') AND recorded_at < $2
    UNION ALL SELECT product_id, 'statuses.' || status, certificates FROM sums
    UNION ALL SELECT product_id, 'statuses.' || was, -certificates FROM sums
    UNION ALL SELECT product_id, 'held', held FROM sums
    UNION ALL SELECT product_id, 'liability', owed FROM sums
    UNION ALL SELECT product_id, 'issued', nominal FROM sums WHERE event_type = 'issue.completed'
    UNION ALL SELECT product_id, 'revenue', amount FROM sums WHERE event_type = 'issue.completed'
    UNION ALL SELECT product_id, 'redeemed', amount FROM sums WHERE event_type = 'redemption.captured'
    UNION ALL SELECT product_id, 'redeemed', -amount FROM sums WHERE event_type = 'redemption.restored'
    UNION ALL
    SELECT product_id, figure, change FROM sums CROSS JOIN LATERAL (VALUES
        ('refunded', amount - excess), ('revenue', excess - amount), ('taken', taken), ('uncovered', uncovered)
    ) AS of_refund (figure, change)
    WHERE event_type = 'refund.completed' AND NOT before_issue
    UNION ALL SELECT product_id, 'breakage', breakage FROM sums WHERE event_type = 'audit.expired'
)
INSERT INTO product_figures AS known (product_id, figure, total)
SELECT product_id, figure, sum(change) FROM changes GROUP BY product_id, figure HAVING sum(change) <> 0
ON CONFLICT (product_id, figure) DO UPDATE SET total = known.total + excluded.total
"""
_FIGURES = """
    SELECT product_id, currency, figure, total FROM products LEFT JOIN product_figures USING (product_id)
"""


class SnapshotRepository(Repository):
    """Records how all products stood at an instant, once."""

    async def due(self, every: timedelta) -> tuple[datetime | None, datetime] | None:
        """Return the instant of the last snapshot and that of the next, if all that it counts is being committed."""
        row = await self._fetchrow(_DUE, every, DELAY)
        return None if row is None else (row["since"], row["due"])

    async def have_ended(self, fence: int) -> bool:
        """Return whether every transaction with an id below this one has ended."""
        return bool(await self._fetchval(_ALL_ENDED, fence))

    async def record_next(self, every: timedelta) -> int:
        """Record a snapshot of each product as of the next instant that is due; return how many, 0 if none is."""
        await self._execute(_LOCK)
        due = await self.due(every)
        if due is None:
            return 0
        since, as_of = due
        ids = (uuid7((since or EARLIEST) - ID_SKEW, 0), uuid7(as_of + ID_SKEW, 0))
        await self._connection.execute(f"SET LOCAL statement_timeout = '{_ADDING_SECONDS:.0f}s'")
        await self._connection.execute(_ADD_UP, since, as_of, *ids, timeout=_ADDING_SECONDS)
        await self._execute("UPDATE snapshot_mark SET as_of = $1", as_of)
        return await self._tell(as_of)

    async def count_anew(self, as_of: datetime) -> None:
        """Have the next snapshot add to all that was recorded before an instant, of which there is one already."""
        await self._execute(_LOCK)
        if await self._fetchval("SELECT as_of >= $1 FROM snapshot_mark", as_of):
            return
        ids = (uuid7(EARLIEST - ID_SKEW, 0), uuid7(as_of + ID_SKEW, 0))
        await self._connection.execute("SET LOCAL statement_timeout = 0")
        await self._execute("DELETE FROM product_figures")
        await self._connection.execute(_ADD_UP, None, as_of, *ids, timeout=_ADDING_ALL_SECONDS)
        await self._execute("UPDATE snapshot_mark SET as_of = $1", as_of)

    async def _tell(self, as_of: datetime) -> int:
        totals: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for product, currency, figure, total in await self._fetch(_FIGURES):
            totals[product, currency][figure] = total
        events = EventRepository(self._connection)
        for (product, currency), figures in sorted(totals.items()):
            record = about_product(_snapshot(as_of, figures), product, as_of, currency=currency)
            await events.append_keyed(product, [record])
        return len(totals)


async def record_next(database: Database, every: timedelta) -> int:
    """Record the snapshots of the next instant that is due; return how many: 0 if none is, or one has to wait.

    Whoever recorded an event before the instant has to end first; whoever begins later records a later one.
    """
    async with database.connection() as connection:
        if await SnapshotRepository(connection).due(every) is None:
            return 0
        if not await _ended(connection, await next_transaction(connection)):
            return 0
    async with database.transaction() as connection:
        return await SnapshotRepository(connection).record_next(every)


async def _ended(connection: Connection, fence: int) -> bool:
    for _ in range(_LOOKS):
        if await SnapshotRepository(connection).have_ended(fence):
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return False


def _snapshot(as_of: datetime, figures: Mapping[str, int]) -> ProductSnapshot:
    statuses = StatusCounts(
        **{one.name: figures[f"statuses.{camel_case(one.name)}"] for one in fields(StatusCounts)}
    )
    amounts = (
        "held",
        "liability",
        "issued",
        "revenue",
        "redeemed",
        "refunded",
        "taken",
        "uncovered",
        "breakage",
    )
    return ProductSnapshot(
        as_of=as_of,
        statuses=statuses,
        available=statuses.available,
        **{name: figures[name] for name in amounts},
    )

"""What ``giftcert recover`` reads and writes: events of the stream that are not recorded, certificates behind them."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from giftcert.contracts.stream import StoredEvent
from giftcert.storage.database import PLAN_FREELY, Connection, Database
from giftcert.storage.events import COLUMNS, SHARD
from giftcert.storage.repository import Repository

_SESSION = f"""
    SET idle_in_transaction_session_timeout = '5min'; SET statement_timeout = '1h'; SET lock_timeout = '1min';
    {PLAN_FREELY}
"""
_TABLES = """
    CREATE TEMPORARY TABLE arrived (event_id uuid, stream_key text, certificate_id uuid, sequence integer,
        event_type text, occurred_at timestamptz, recorded_at timestamptz, channel text, sale_channel text, status text,
        refund_state text, product text, nominal bigint, currency text, balance bigint, held bigint, cause_topic text,
        cause_event_id text, payload text);
    CREATE TEMPORARY TABLE on_stream (event_id uuid PRIMARY KEY);
    CREATE TEMPORARY TABLE forked (certificate_id uuid PRIMARY KEY);
"""
_ARRIVED = tuple(StoredEvent.__dataclass_fields__)
# Of one certificate and one number there are two events: they cannot both be true, so a person has to look.
_NOTE_FORKED = """
    INSERT INTO forked
    SELECT DISTINCT a.certificate_id FROM arrived AS a JOIN events AS e USING (certificate_id, sequence)
    WHERE e.event_id <> a.event_id ON CONFLICT DO NOTHING
"""
_NOTE_SEEN = "INSERT INTO on_stream SELECT event_id FROM arrived ON CONFLICT DO NOTHING"
_RECORD = f"""
    WITH recorded AS (
        INSERT INTO events ({COLUMNS}, recorded_at)
        SELECT event_id, stream_key, certificate_id, sequence, event_type, occurred_at, channel, sale_channel, status,
            refund_state, product, nominal, currency, balance, held, cause_topic, cause_event_id, payload::jsonb,
            recorded_at
        FROM arrived WHERE certificate_id IS NULL OR certificate_id NOT IN (SELECT certificate_id FROM forked)
        ON CONFLICT DO NOTHING RETURNING event_id
    ), unlinked AS (
        INSERT INTO unlinked_events SELECT event_id FROM recorded
    )
    SELECT count(*) FROM recorded
"""  # noqa: S608 - made of constants
_NOT_WAITING = "DELETE FROM outbox USING on_stream WHERE outbox.event_id = on_stream.event_id"
_NEVER_PUBLISH = """
    DELETE FROM outbox USING events JOIN forked USING (certificate_id) WHERE outbox.event_id = events.event_id
"""
# Whoever draws a position of the outbox has a transaction id before, see ``outbox.py``.
_ENTER = "SELECT pg_current_xact_id()"
_PUBLISH_AGAIN = f"""
    INSERT INTO outbox (shard, event_id)
    SELECT {SHARD.format("stream_key")}, event_id FROM events AS e
    WHERE NOT EXISTS (SELECT FROM on_stream AS s WHERE s.event_id = e.event_id)
        AND NOT EXISTS (SELECT FROM outbox AS o WHERE o.event_id = e.event_id)
        AND (certificate_id IS NULL OR certificate_id NOT IN (SELECT certificate_id FROM forked))
    ORDER BY recorded_at, sequence
"""  # noqa: S608 - made of constants
_BEHIND = """
    SELECT c.certificate_id::text FROM certificates AS c CROSS JOIN LATERAL (
        SELECT max(sequence) AS sequence FROM events AS e WHERE e.certificate_id = c.certificate_id
    ) AS last
    WHERE c.sequence < last.sequence AND c.certificate_id NOT IN (SELECT certificate_id FROM forked)
    ORDER BY last.sequence, c.certificate_id
"""
_BLOCK_FORKED = """
    WITH stopped AS (
        UPDATE certificates AS c SET blocked = true, version = version + 1 FROM forked
        WHERE c.certificate_id = forked.certificate_id AND NOT blocked
        RETURNING product_id, status
    )
    INSERT INTO pool_changes (product_id, was, status, certificates)
    SELECT product_id, status, 'blocked', count(*) FROM stopped GROUP BY 1, 2
"""
_FORKED = "SELECT certificate_id::text FROM forked ORDER BY 1"
_UNKNOWN_CERTIFICATES = """
    SELECT coalesce(product_id, '?'), count(DISTINCT certificate_id) FROM events AS e
    WHERE certificate_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM certificates AS c WHERE c.certificate_id = e.certificate_id)
    GROUP BY 1 ORDER BY 1
"""
_RESERVED = """
    INSERT INTO reservations (reservation_id, certificate_id, channel, reserved_by, reserved_at, reserved_until,
        resolved_at, resolution)
    VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""
_RESOLVED = """
    UPDATE reservations SET resolved_at = $2, resolution = $3
    WHERE reservation_id = $1::uuid AND resolved_at IS NULL
"""
_OWN_RESERVATION = """
    UPDATE certificates SET sequence = $2, available_since = coalesce($3, available_since),
        reservation_id = coalesce($4::uuid, reservation_id), reservation_channel = coalesce($5, reservation_channel),
        reserved_at = coalesce($6, reserved_at)
    WHERE certificate_id = $1::uuid
"""
_DISCLOSED = """
    INSERT INTO disclosures (certificate_id, disclosed_to, purpose, notification_id, disclosed_at, sequence)
    VALUES ($1::uuid, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""
# A payment by the certificate that an event names as its cause was applied; those that brought no event change nothing.
_APPLIED = """
    UPDATE spendings AS s SET applied_at = e.recorded_at FROM events AS e
    WHERE s.certificate_id = $1::uuid AND s.applied_at IS NULL AND e.certificate_id = s.certificate_id
        AND e.cause_event_id = s.message #>> '{cause,event_id}' AND e.cause_topic = s.message #>> '{cause,topic}'
"""
# Whoever has a sale on a line holds it; a certificate that let go of its line has none there.
_HOLDERS = """
    WITH holders AS (
        SELECT l.order_id, l.line_key, c.certificate_id, c.status FROM order_lines AS l
        LEFT JOIN certificates AS c ON c.order_id = l.order_id AND c.line_key = l.line_key
        WHERE l.order_id = ANY($1)
    )
    UPDATE order_lines AS l SET holder = h.certificate_id, holder_status = h.status FROM holders AS h
    WHERE (l.order_id, l.line_key) = (h.order_id, h.line_key)
        AND (l.holder, l.holder_status) IS DISTINCT FROM (h.certificate_id, h.status)
"""
_DECIDE_AGAIN = """
    INSERT INTO pending (certificate_id, order_id, line_key, kind, channel, since)
    SELECT named, order_id, line_key, 'order_changed', coalesce(standing ->> 'channel', $2), clock_timestamp()
    FROM order_lines, unnest(named_certificates || holder) AS named
    WHERE order_id = ANY($1) AND EXISTS (SELECT FROM certificates AS c WHERE c.certificate_id = named)
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (certificate_id, order_id, line_key) DO UPDATE SET number = nextval('pending_number')
"""
_UNDECIDED = """
    SELECT DISTINCT certificate_id::text FROM pending JOIN certificates AS c USING (certificate_id)
    WHERE c.parked IS NULL AND c.certificate_id NOT IN (SELECT certificate_id FROM forked) ORDER BY 1
"""
_SNAPSHOTS = """
    SELECT max((payload ->> 'asOf')::timestamptz) FROM events
    WHERE certificate_id IS NULL AND event_type = 'audit.snapshot'
"""
_LED = """
    SELECT certificate_id::text AS certificate_id, coalesce(sale_channel, reservation_channel) AS channel,
        product_id AS product, order_id
    FROM certificates WHERE timer_at IS NOT NULL AND certificate_id = ANY($1::uuid[]) ORDER BY 1
"""


class RecoverySession(Repository):
    """Works on one connection, whose temporary tables say what the stream has, and which certificates are forked."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.connection = connection

    async def arrive(self, events: Sequence[StoredEvent]) -> int:
        """Record those events of the stream that are not recorded; return how many they are."""
        rows = [tuple(getattr(one, name) for name in _ARRIVED) for one in events]
        async with self._connection.transaction():
            await self._connection.execute("TRUNCATE arrived")
            await self._connection.copy_records_to_table("arrived", records=rows, columns=_ARRIVED)
            await self._execute(_NOTE_FORKED)
            await self._execute(_NOTE_SEEN)
            return int(await self._fetchval(_RECORD))

    async def publish_what_it_lacks(self) -> int:
        """Have dispatch publish what the stream lacks, and nothing that it has; return how many events that is."""
        async with self._connection.transaction():
            await self._execute(_ENTER)
            await self._execute(_NOT_WAITING)
            await self._execute(_NEVER_PUBLISH)
            return await self._execute(_PUBLISH_AGAIN)

    async def behind(self) -> list[str]:
        """Return the certificates that have more events than their rows know of."""
        return [row[0] for row in await self._fetch(_BEHIND)]

    async def block_forked(self) -> list[str]:
        """Block certificates of which the stream has other events than the database, and return them."""
        await self._execute(_BLOCK_FORKED)
        return [row[0] for row in await self._fetch(_FORKED)]

    async def unknown_certificates(self) -> dict[str, int]:
        """Return how many certificates have events and no row, by product: their numbers are lost."""
        return {row[0]: row[1] for row in await self._fetch(_UNKNOWN_CERTIFICATES)}

    async def undecided(self) -> list[str]:
        """Return certificates for which something is pending."""
        return [row[0] for row in await self._fetch(_UNDECIDED)]

    async def last_snapshot(self) -> datetime | None:
        """Return the instant of the last snapshot that was published."""
        instant: datetime | None = await self._fetchval(_SNAPSHOTS)
        return instant


class RebuildRepository(Repository):
    """Writes a rebuilt certificate, in the transaction that holds its locks."""

    async def number(
        self, certificate_id: str, sequence: int, available_since: datetime | None, *reservation: object
    ) -> None:
        """Enter the number of the last event, and of its reservation id, channel and instant, if there is a new one."""
        await self._execute(_OWN_RESERVATION, certificate_id, sequence, available_since, *reservation)

    async def reserve(self, *values: object) -> None:
        """Enter a reservation: the columns of the table in their order."""
        await self._execute(_RESERVED, *values)

    async def resolve(self, reservation_id: str, at: datetime, how: str) -> None:
        """End a reservation."""
        await self._execute(_RESOLVED, reservation_id, at, how)

    async def disclose(self, *values: object) -> None:
        """Enter a disclosure: the columns of the table in their order."""
        await self._execute(_DISCLOSED, *values)

    async def apply_spendings(self, certificate_id: str) -> None:
        """Take payments by the certificate for applied that its events come from."""
        await self._execute(_APPLIED, certificate_id)

    async def hold_lines(self, order_ids: Iterable[str]) -> None:
        """Have each line held by the certificate that has its sale there."""
        await self._execute(_HOLDERS, list(order_ids))

    async def led_among(self, certificate_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what has to be known to wake the workflows of those certificates that wait for something."""
        return [dict(row) for row in await self._fetch(_LED, certificate_ids)]

    async def decide_again(self, order_ids: Iterable[str], channel: str) -> None:
        """Have all certificates decide once more that these orders concern; ``channel`` is for orders without one."""
        await self._execute(_DECIDE_AGAIN, list(order_ids), channel)


@asynccontextmanager
async def recovery_session(database: Database) -> AsyncIterator[RecoverySession]:
    """Open a session with empty temporary tables, which vanish with it, as its settings do."""
    async with database.connection() as connection:
        try:
            await connection.execute(_SESSION)
            await connection.execute(_TABLES)
            yield RecoverySession(connection)
        finally:
            await connection.close()

"""Orders that name certificates: their newest version, the certificates ever mapped to them, unknown lines."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from asyncpg import Record
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of

# Sorted, so that two transactions that want the same orders wait for each other instead of for ever.
_LOCK = """
    SELECT order_id, version, customer_id, snapshot::text AS snapshot, recheck
    FROM orders WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE
"""
_LOCK_SETTLING = """
    SELECT order_id, version, customer_id, snapshot::text AS snapshot, recheck
    FROM orders WHERE recheck AND recheck_fence IS NOT NULL
    ORDER BY order_id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_MAPPED = """
    SELECT order_id, certificate_id::text AS certificate_id FROM order_certificates
    WHERE order_id = ANY($1) ORDER BY mapped_at, certificate_id
"""
_UNKNOWN = (
    "SELECT order_id, line_id, named_certificate, alerted_amount FROM unknown_lines WHERE order_id = ANY($1)"
)
_SAVE = """
    INSERT INTO orders (order_id, version, customer_id, snapshot)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::jsonb[])
    ON CONFLICT (order_id) DO UPDATE
    SET version = excluded.version, customer_id = excluded.customer_id, snapshot = excluded.snapshot
"""
_MAP = """
    INSERT INTO order_certificates (order_id, certificate_id) SELECT * FROM unnest($1::text[], $2::uuid[])
    ON CONFLICT DO NOTHING
"""
_SAVE_UNKNOWN = """
    INSERT INTO unknown_lines (order_id, line_id, named_certificate, alerted_amount)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
    ON CONFLICT (order_id, line_id) DO UPDATE
    SET named_certificate = excluded.named_certificate, alerted_amount = excluded.alerted_amount
"""
_FORGET_UNKNOWN = """
    DELETE FROM unknown_lines USING unnest($1::text[], $2::text[]) AS gone (order_id, line_id)
    WHERE unknown_lines.order_id = gone.order_id AND unknown_lines.line_id = gone.line_id
"""
# Our own transaction id, given after the mapping's commit: whoever looked before that commit took an id below it.
# The snapshot's xmax would not do: it may equal the id of a transaction that looked before and is still open.
_SET_FENCE = """
    UPDATE orders SET recheck_fence = pg_current_xact_id()::text::bigint
    WHERE order_id IN (
        SELECT order_id FROM orders WHERE recheck AND recheck_fence IS NULL
        ORDER BY order_id LIMIT $1 FOR UPDATE SKIP LOCKED
    )
"""
_SETTLE = """
    UPDATE orders SET recheck = false, recheck_fence = NULL
    WHERE order_id = ANY($1) AND recheck_fence <= $2
"""
_CERTIFICATES = """
    SELECT certificate_id::text AS certificate_id, coalesce(sale_channel, reservation_channel) AS channel
    FROM certificates WHERE certificate_id = ANY($1::uuid[])
"""
_ANY_UNSETTLED = "SELECT EXISTS (SELECT FROM orders WHERE recheck)"


class SnapshotLine(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A line of an order as it now is; ``certificate_id`` as the line names it, ours or not."""

    line_id: str
    kind: str
    amount: int
    certificate_id: str | None = None


class Snapshot(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An order as its newest full version states it, without anything personal. Amounts in minor units."""

    channel: str
    currency: str
    total: int
    lines: tuple[SnapshotLine, ...]
    version: int = 0

    def certificate_on(self, line_id: str) -> str | None:
        """Return the certificate that a line names."""
        return next((line.certificate_id for line in self.lines if line.line_id == line_id), None)


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """A line that names a certificate we never made; ``alerted_amount`` is the captured money already told of."""

    named_certificate: str
    alerted_amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOrder:
    """An order with certificates. ``recheck``: payments committed with its mapping may still be unseen."""

    order_id: str
    version: int
    customer_id: str | None
    snapshot: Snapshot
    certificates: tuple[str, ...] = ()
    unknown_lines: dict[str, UnknownLine] = field(default_factory=dict)
    recheck: bool = True


_SNAPSHOT: msgspec.json.Decoder[Snapshot] = msgspec.json.Decoder(Snapshot)
_ENCODER = msgspec.json.Encoder()


class OrderRepository:
    """Reads and writes orders in batches; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock_known(self, order_ids: Iterable[str]) -> dict[str, KnownOrder]:
        """Return those of the orders that are known, and hold them until the transaction ends."""
        driver = await driver_of(self._connection)
        return await self._whole(await driver.fetch(_LOCK, list(order_ids)))

    async def set_fences(self, limit: int) -> int:
        """Give newly mapped orders the transaction id before which all who may have missed them began.

        Returns:
            How many got one.
        """
        driver = await driver_of(self._connection)
        return int((await driver.execute(_SET_FENCE, limit)).rpartition(" ")[2])

    async def lock_settling(self, limit: int) -> dict[str, KnownOrder]:
        """Return orders that have a fence and are to be looked at again, leaving out those that others hold."""
        driver = await driver_of(self._connection)
        return await self._whole(await driver.fetch(_LOCK_SETTLING, limit))

    async def settle(self, order_ids: Sequence[str], oldest_open: int) -> int:
        """End the rechecking of orders whose fence all open transactions have passed.

        Args:
            order_ids: the orders, locked.
            oldest_open: read before the orders' payments were last looked for.

        Returns:
            How many are settled.
        """
        driver = await driver_of(self._connection)
        return int((await driver.execute(_SETTLE, list(order_ids), oldest_open)).rpartition(" ")[2])

    async def certificates(self, certificate_ids: Iterable[str]) -> dict[str, str | None]:
        """Return which of these certificates are ours, each with the channel that sells it, if one does.

        The ids must be UUIDs; those not in their canonical form are not found.
        """
        driver = await driver_of(self._connection)
        rows = await driver.fetch(_CERTIFICATES, list(certificate_ids))
        return {row["certificate_id"]: row["channel"] for row in rows}

    async def any_unsettled(self) -> bool:
        """Return whether any order is still to be looked at again."""
        driver = await driver_of(self._connection)
        return bool(await driver.fetchval(_ANY_UNSETTLED))

    async def save(self, orders: Sequence[KnownOrder]) -> None:
        """Insert or update orders, without their certificates and unknown lines."""
        driver = await driver_of(self._connection)
        await driver.execute(
            _SAVE,
            [one.order_id for one in orders],
            [one.version for one in orders],
            [one.customer_id for one in orders],
            [_ENCODER.encode(one.snapshot).decode() for one in orders],
        )

    async def map(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Map orders to certificates, for ever."""
        driver = await driver_of(self._connection)
        await driver.execute(_MAP, [order for order, _ in pairs], [certificate for _, certificate in pairs])

    async def save_unknown(self, lines: Mapping[tuple[str, str], UnknownLine]) -> None:
        """Remember lines, by (order id, line id), that name certificates we never made."""
        driver = await driver_of(self._connection)
        await driver.execute(
            _SAVE_UNKNOWN,
            [order_id for order_id, _ in lines],
            [line_id for _, line_id in lines],
            [line.named_certificate for line in lines.values()],
            [line.alerted_amount for line in lines.values()],
        )

    async def forget_unknown(self, lines: Iterable[tuple[str, str]]) -> None:
        """Forget lines, as (order id, line id), that name a certificate of ours by now."""
        pairs = list(lines)
        driver = await driver_of(self._connection)
        await driver.execute(_FORGET_UNKNOWN, [order for order, _ in pairs], [line for _, line in pairs])

    async def _whole(self, rows: Sequence[Record]) -> dict[str, KnownOrder]:
        if not rows:
            return {}
        driver = await driver_of(self._connection)
        ids = [row["order_id"] for row in rows]
        mapped: dict[str, list[str]] = {order_id: [] for order_id in ids}
        for row in await driver.fetch(_MAPPED, ids):
            mapped[row["order_id"]].append(row["certificate_id"])
        unknown: dict[str, dict[str, UnknownLine]] = {order_id: {} for order_id in ids}
        for row in await driver.fetch(_UNKNOWN, ids):
            line = UnknownLine(row["named_certificate"], row["alerted_amount"])
            unknown[row["order_id"]][row["line_id"]] = line
        return {
            row["order_id"]: KnownOrder(
                order_id=row["order_id"],
                version=row["version"],
                customer_id=row["customer_id"],
                snapshot=_SNAPSHOT.decode(row["snapshot"]),
                certificates=tuple(mapped[row["order_id"]]),
                unknown_lines=unknown[row["order_id"]],
                recheck=row["recheck"],
            )
            for row in rows
        }

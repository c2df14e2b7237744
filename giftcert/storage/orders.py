"""Orders that name, or once named, a certificate: table ``orders``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from asyncpg import Record

from giftcert.domain.order.order import Order
from giftcert.storage.repository import Repository, Write, by_column

# Sorted, so that two transactions that want the same orders wait for each other instead of for ever.
_LOCK = """
    SELECT order_id, aggregate, recheck FROM orders WHERE order_id = ANY($1)
    ORDER BY order_id FOR NO KEY UPDATE
"""
_RECHECKED = "recheck AND mapped_at >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'orders')"
_LOCK_RECHECKED = f"""
    SELECT order_id, aggregate, recheck FROM orders WHERE {_RECHECKED} AND recheck_fence IS NOT NULL
    ORDER BY mapped_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608 - made of constants
# No ON CONFLICT: two transactions that both found no such order have each folded a part of it, so one begins anew.
_ADD = """
    INSERT INTO orders (order_id, customer_id, aggregate, too_large)
    SELECT * FROM unnest({}::text[], {}::text[], {}::bytea[], {}::boolean[])
"""
_CHANGE = """
    UPDATE orders SET customer_id = new.customer_id, aggregate = new.aggregate, too_large = new.too_large
    FROM unnest({}::text[], {}::text[], {}::bytea[], {}::boolean[]) AS new (order_id, customer_id, aggregate, too_large)
    WHERE orders.order_id = new.order_id
"""
# Our own transaction id, given after the mapping's commit: whoever looked before took an id below it (ADR 19).
_SET_FENCES = f"""
    UPDATE orders SET recheck_fence = pg_current_xact_id()::text::bigint
    WHERE order_id IN (
        SELECT order_id FROM orders WHERE {_RECHECKED} AND recheck_fence IS NULL
        ORDER BY mapped_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    )
"""  # noqa: S608 - made of constants
_END_RECHECK = """
    UPDATE orders SET recheck = false, recheck_fence = NULL
    WHERE order_id = ANY($1) AND recheck_fence <= $2
"""
_ANY_RECHECKED = f"SELECT EXISTS (SELECT FROM orders WHERE {_RECHECKED} ORDER BY mapped_at LIMIT 1)"  # noqa: S608


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as it is stored. ``recheck``: payments committed with its first message may still be unseen."""

    order: Order
    recheck: bool


_DECODER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_ENCODER = msgspec.msgpack.Encoder()


class OrderRepository(Repository):
    """Reads and writes orders in batches."""

    async def lock(self, order_ids: Iterable[str]) -> dict[str, StoredOrder]:
        """Return those of the orders that are stored, and hold them until the transaction ends."""
        return _stored(await self._fetch(_LOCK, list(order_ids)))

    async def set_fences(self, limit: int) -> None:
        """Give new orders the transaction id before which all who may have missed them began."""
        await self._execute(_SET_FENCES, limit)

    async def lock_rechecked(self, limit: int) -> dict[str, StoredOrder]:
        """Return orders that have a fence and are to be looked at again, leaving out those that others hold."""
        return _stored(await self._fetch(_LOCK_RECHECKED, limit))

    async def end_recheck(self, order_ids: Sequence[str], oldest_open: int) -> None:
        """Look no more at locked orders whose fence is passed; ``oldest_open`` is as of before their last look."""
        await self._execute(_END_RECHECK, order_ids, oldest_open)

    async def any_rechecked(self) -> bool:
        """Return whether any order is still to be looked at again."""
        return bool(await self._fetchval(_ANY_RECHECKED))


def added(orders: Sequence[Order]) -> Write:
    """Store orders for the first time; fails if another transaction has stored one of them meanwhile."""
    return Write(_ADD, _columns(orders))


def changed(orders: Sequence[Order]) -> Write:
    """Update orders, which the caller has locked."""
    return Write(_CHANGE, _columns(orders))


def _stored(rows: Sequence[Record]) -> dict[str, StoredOrder]:
    return {row[0]: StoredOrder(_DECODER.decode(row[1]), row[2]) for row in rows}


def _columns(orders: Sequence[Order]) -> list[list[object]]:
    return by_column(
        (one.order_id, one.customer_id, _ENCODER.encode(one), one.size_exceeded) for one in orders
    )

"""Orders in pages, with their lines as stored and what was received of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from giftcert.domain.certificate.state import LineRef
from giftcert.domain.order.order import Order
from giftcert.storage.order_lines import LINE, OrderLineRow, line_of
from giftcert.storage.verification.session import Session

_PAGE = "SELECT order_id, aggregate FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2"
_SAMPLED_PAGE = """
    SELECT DISTINCT o.order_id, o.aggregate FROM sampled
    JOIN certificates AS c USING (certificate_id) JOIN orders AS o ON o.order_id = c.order_id
    WHERE o.order_id > $1 ORDER BY o.order_id LIMIT $2
"""
_LINES = f"SELECT {LINE} FROM order_lines WHERE order_id = ANY($1)"  # noqa: S608 - made of constants
_LINES_OF = f"""
    SELECT {LINE} FROM order_lines
    WHERE (order_id, line_key) IN (SELECT * FROM unnest($1::text[], $2::integer[]))
"""  # noqa: S608 - made of constants
_RECEIVED = "SELECT order_id, count(*) FROM inbox WHERE order_id = ANY($1) GROUP BY order_id"
_WAITING = """
    SELECT certificate_id::text FROM pending WHERE certificate_id = ANY($1::uuid[])
    UNION SELECT certificate_id::text FROM spendings WHERE certificate_id = ANY($1::uuid[]) AND applied_at IS NULL
"""
_COUNT = "SELECT count(*) FROM orders"

_ORDER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Orders, all their lines, and how many messages about each order the inbox still has."""

    orders: tuple[Order, ...]
    lines: tuple[OrderLineRow, ...]
    received: Mapping[str, int]


class OrderPageRepository:
    """Reads orders within the snapshot of a page."""

    def __init__(self, session: Session, *, sampled: bool = False) -> None:
        self._session = session
        self._sampled = sampled

    async def count(self) -> int:
        """Return how many orders there are; of a sample nobody knows before."""
        return 0 if self._sampled else int(await self._session.fetchval(_COUNT))

    async def after(self, order_id: str, limit: int) -> OrderPage:
        """Return the orders behind this one."""
        rows = await self._session.fetch(_SAMPLED_PAGE if self._sampled else _PAGE, order_id, limit)
        ids = [row[0] for row in rows]
        lines = await self._session.fetch(_LINES, ids)
        return OrderPage(
            tuple(_ORDER.decode(row[1]) for row in rows),
            tuple(line_of(row) for row in lines),
            {row[0]: row[1] for row in await self._session.fetch(_RECEIVED, ids)},
        )

    async def waiting(self, certificate_ids: Iterable[str]) -> set[str]:
        """Return for which of these certificates anything waits to be decided."""
        return {row[0] for row in await self._session.fetch(_WAITING, list(certificate_ids))}

    async def lines(self, refs: Sequence[LineRef]) -> list[OrderLineRow]:
        """Return lines of any orders."""
        rows = await self._session.fetch(
            _LINES_OF, [one.order_id for one in refs], [one.line_key for one in refs]
        )
        return [line_of(row) for row in rows]

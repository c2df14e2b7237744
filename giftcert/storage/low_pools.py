"""Products whose pool is low: each is reported once until it has recovered, and filled up where that is wanted."""

from collections.abc import Sequence
from datetime import datetime

from giftcert.contracts.notices import PoolLow, about_product
from giftcert.domain.pool_level import is_low
from giftcert.domain.products import Product
from giftcert.storage.events import EventRepository
from giftcert.storage.pool import PoolCount
from giftcert.storage.products import ProductRepository
from giftcert.storage.repository import Repository

_NOTE = (
    "INSERT INTO low_pools (product_id, since) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING product_id"
)


class LowPoolRepository(Repository):
    """Remembers which pools are low."""

    async def report(self, counts: Sequence[PoolCount], now: datetime, replenish_to: int | None) -> int:
        """Record alert.poolLow of each product that has become low, forget those that recovered; return how many."""
        known = {row[0] for row in await self._fetch("SELECT product_id FROM low_pools")}
        products, reported = await ProductRepository(self._connection).all(), 0
        for count in counts:
            if not is_low(count.available, count.low_threshold, was_low=count.product in known):
                await self._execute("DELETE FROM low_pools WHERE product_id = $1", count.product)
            elif await self._fetchval(_NOTE, count.product, now) is not None:
                target = target_of(products[count.product], replenish_to)
                alert = about_product(_alert(count, target), count.product, now)
                await EventRepository(self._connection).append_keyed(count.product, [alert])
                reported += 1
        return reported

    async def lock(self) -> list[str]:
        """Return the products that are low, and let nobody else fill them up until the transaction ends."""
        statement = "SELECT product_id FROM low_pools ORDER BY product_id FOR UPDATE"
        return [row[0] for row in await self._fetch(statement)]


def target_of(product: Product, replenish_to: int | None) -> int | None:
    """Return how many certificates of a product are to be there once it was filled up, if it is by itself."""
    return (replenish_to if product.replenish_to is None else product.replenish_to) or None


def _alert(count: PoolCount, target: int | None) -> PoolLow:
    return PoolLow(
        available=count.available,
        threshold=count.low_threshold,
        sold=count.sold,
        sold_since=count.sold_since,
        empty_at=count.empty_at,
        replenished_to=target,
    )

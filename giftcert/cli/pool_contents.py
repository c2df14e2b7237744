"""Fills pools: on request, and in an embedded stack where there is nothing to sell."""

from collections.abc import Callable
from uuid import UUID

from giftcert.cli.connections import connected
from giftcert.cli.errors import CommandError
from giftcert.clock import utc_now
from giftcert.product_file import read_products
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.pool import PoolCount, PoolRepository
from giftcert.storage.products import ProductRepository


async def generate(
    settings: Settings, product_id: str, quantity: int, progress: Callable[[int], None] = lambda _made: None
) -> UUID:
    """Make certificates of a product; return the batch.

    Raises:
        CommandError: the database knows no such product, or cannot be used.
        SealError: another keyring sealed its pool.
    """
    keyring = keyring_of(settings)
    async with connected(settings, "pool") as database, database.transaction() as connection:
        products, pool = await ProductRepository(connection).all(), PoolRepository(connection)
        if product_id not in products:
            known = ", ".join(products) or "none; run `giftcert setup` first"
            raise CommandError(f"there is no product {product_id}; there are: {known}")
        await pool.check_keyring(keyring)
        return await pool.generate(products[product_id], quantity, keyring, utc_now(), progress)


async def counts(settings: Settings) -> list[PoolCount]:
    """Return how many certificates of each product stand in each status."""
    async with connected(settings, "pool") as database, database.connection() as connection:
        return await PoolRepository(connection).counts(utc_now(), settings.cooling_period)


async def fill_empty_pool(settings: Settings) -> list[str]:
    """Make certificates of every product that has none; return what was done, a line each."""
    filled = {count.product for count in await counts(settings)}
    done = []
    for line in read_products(settings):
        quantity = settings.embedded_pool if line.pool is None else line.pool
        if quantity and line.id not in filled:
            await generate(settings, line.id, quantity)
            done.append(f"{quantity:,} certificates of {line.id} made")
    return done

"""Fills pools: on request, and in an embedded stack where there is nothing to sell."""

from collections.abc import Callable
from uuid import UUID

from giftcert.cli.errors import CommandError
from giftcert.cli.keyring_check import check_keyring
from giftcert.clock import utc_now
from giftcert.embedded.key_rule import refuse_embedded_keys
from giftcert.product_file import read_products
from giftcert.security import Keyring, keyring_of
from giftcert.settings import Settings
from giftcert.storage.engine import make_engine
from giftcert.storage.pool import PoolCount, PoolRepository
from giftcert.storage.products import ProductRepository


async def generate(
    settings: Settings, product_id: str, quantity: int, progress: Callable[[int], None]
) -> UUID:
    """Make certificates of a product; return the batch.

    Raises:
        CommandError: the database knows no such product, or its pool was sealed by another keyring.
        StackError: keys of an embedded stack would seal certificates of an external database.
    """
    refuse_embedded_keys(settings)
    return await _make(settings, keyring_of(settings), product_id, quantity, progress)


async def counts(settings: Settings) -> list[PoolCount]:
    """Return how many certificates of each product stand in each status."""
    engine = make_engine(settings, "giftcert-pool")
    try:
        async with engine.connect() as connection:
            return await PoolRepository(connection).counts(utc_now(), settings.cooling_period)
    finally:
        await engine.dispose()


async def fill_empty_pool(settings: Settings) -> list[str]:
    """Make certificates of every product that has none; return what was done, a line each."""
    keyring = keyring_of(settings)
    filled = {count.product for count in await counts(settings)}
    done = []
    for line in read_products(settings):
        quantity = settings.embedded_pool if line.pool is None else line.pool
        if quantity and line.id not in filled:
            await _make(settings, keyring, line.id, quantity)
            done.append(f"{quantity:,} certificates of {line.id} made")
    return done


async def _make(
    settings: Settings,
    keyring: Keyring,
    product_id: str,
    quantity: int,
    progress: Callable[[int], None] = lambda _made: None,
) -> UUID:
    engine = make_engine(settings, "giftcert-pool")
    try:
        async with engine.begin() as connection:
            products = await ProductRepository(connection).all()
            if product_id not in products:
                known = ", ".join(products) or "none; run `giftcert setup` first"
                raise CommandError(f"there is no product {product_id}; there are: {known}")
            await check_keyring(connection, keyring)
            product = products[product_id]
            return await PoolRepository(connection).generate(product, quantity, keyring, utc_now(), progress)
    finally:
        await engine.dispose()

"""Reservations per second with token, key and event, beside a bare claim: ``python -m benchmarks.reservations``."""

from datetime import UTC, datetime

import asyncpg

from benchmarks.http_floors import FILL_POOL
from benchmarks.http_stack import CHANNEL, measure
from benchmarks.measurement import options
from giftcert.domain.products import Product
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository

PRODUCT = Product("GC-5000", "RUB", nominal=500_000)
PER_SECOND = 8_000
"""Certificates to have ready for each second of a run; the pool must not run dry."""


async def fill(settings: Settings, url: str, quantity: int) -> None:
    """Make the product and a pool of four times as many certificates."""
    database = Database(url)
    async with database.transaction() as connection:
        await ProductRepository(connection).put([PRODUCT])
        await PoolRepository(connection).generate(PRODUCT, quantity, keyring_of(settings), datetime.now(UTC))
    await database.close()
    connection = await asyncpg.connect(url)
    await connection.execute(FILL_POOL.format(quantity=3 * quantity))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def main() -> None:
    """Print the comparison."""
    chosen = options(rounds=5, seconds=3.0)
    quantity = int(chosen.rounds * (chosen.seconds + 1) * PER_SECOND)
    lines = "GET /claim", f"GET /certificates/next?channel={CHANNEL}&product={PRODUCT.id}"
    measure(
        lambda settings, url, _: fill(settings, url, quantity),
        lines,
        chosen.rounds,
        chosen.seconds,
        GIFTCERT_RESERVATION_CAP="10000000",
        GIFTCERT_RESERVATION_SHARE="1",
    )


if __name__ == "__main__":
    main()

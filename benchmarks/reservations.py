"""Reservations per second with token, key and event, beside a bare claim: ``python -m benchmarks.reservations``."""

import argparse
import asyncio
import json
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from benchmarks import http_stack
from benchmarks.http_load import Load
from benchmarks.reservations_floor import FILL
from giftcert.domain.products import Product
from giftcert.security import keyring_of
from giftcert.settings import Settings
from giftcert.storage.engine import engine_at
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository

PRODUCT = Product("GC-5000", "RUB", nominal=500_000)
PER_SECOND = 6_000
"""Certificates to have ready for each second of a run; the pool must not run dry."""


def compare(rounds: int, seconds: float) -> http_stack.Comparison:
    """Measure floor and service by turns on one PostgreSQL, and return the medians."""
    with tempfile.TemporaryDirectory(prefix="giftcert-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        with http_stack.postgres(folder) as url:
            settings = http_stack.prepare(url, folder)
            asyncio.run(_fill(settings, url, int(rounds * (seconds + 1) * PER_SECOND)))
            with (
                http_stack.floor("benchmarks.reservations_floor:app", url) as floor_port,
                http_stack.service(url, folder, GIFTCERT_RESERVATION_CAP="10000000") as port,
            ):
                floor = Load("127.0.0.1", floor_port, http_stack.request(floor_port, "GET /claim"), seconds)
                line = f"GET /certificates/next?channel={http_stack.CHANNEL}&product={PRODUCT.id}"
                headers = (http_stack.authorization(settings), "Idempotency-Key: {n}")
                service = Load("127.0.0.1", port, http_stack.request(port, line, *headers), seconds)
                return http_stack.compare(floor, service, rounds)


async def _fill(settings: Settings, url: str, quantity: int) -> None:
    engine = engine_at(url)
    async with engine.begin() as connection:
        await ProductRepository(connection).put([PRODUCT])
        await PoolRepository(connection).generate(PRODUCT, quantity, keyring_of(settings), datetime.now(UTC))
    await engine.dispose()
    driver = await asyncpg.connect(url)
    await driver.execute(FILL.format(quantity=3 * quantity))
    await driver.execute("VACUUM ANALYZE")
    await driver.close()


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    print(json.dumps(asdict(compare(arguments.rounds, arguments.seconds)), indent=1))


if __name__ == "__main__":
    main()

"""Redemptions per second with token, number, CVC and key, beside a bare hold: ``python -m benchmarks.redemptions``.

One certificate is sold through the real lifecycle; the others are copies of it with orders of their own.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from benchmarks.http_floors import FILL_CARDS
from benchmarks.http_stack import CHANNEL, FLOOR, SERVICE, measure
from benchmarks.lives import Leading
from benchmarks.measurement import options
from giftcert.domain.products import Product
from giftcert.security.data_keys import Purpose
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import Database
from giftcert.storage.day_partitions import make_days
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository

PRODUCT = Product("GC-5000", "RUB", nominal=500_000)
CERTIFICATES = 10_000
"""Each is held a few times in all rounds, as a certificate is in its life."""
_CARDS = """
    SELECT certificate_id, number_sealed, cvc_sealed FROM certificate_secrets JOIN certificates USING (certificate_id)
    WHERE status = 'issued' ORDER BY certificate_id
"""
_COPY = """
    WITH pattern AS (SELECT * FROM certificates WHERE status = 'issued'),
    copied AS (
        SELECT certificate_id, 'BENCH-' || certificate_id AS order_id FROM certificates WHERE status = 'available'
    ), orders_copied AS (
        INSERT INTO orders (order_id, aggregate)
        SELECT c.order_id, o.aggregate FROM copied AS c, orders AS o
    ), lines_copied AS (
        INSERT INTO order_lines (order_id, line_key, line_id, standing, named_certificates, speaker, holder,
            holder_status)
        SELECT c.order_id, l.line_key, l.line_id,
            replace(replace(l.standing::text, p.order_id, c.order_id), p.certificate_id::text,
                c.certificate_id::text)::jsonb,
            ARRAY[c.certificate_id], c.certificate_id, c.certificate_id, 'issued'
        FROM copied AS c, order_lines AS l, pattern AS p
    )
    UPDATE certificates AS n SET status = p.status, nominal = p.nominal, balance = p.balance,
        sale_channel = p.sale_channel, order_id = c.order_id, line_key = p.line_key, customer_id = p.customer_id,
        sequence = p.sequence, version = p.version, decided_at = p.decided_at, next_instant = p.next_instant,
        known_lines = replace(p.known_lines::text, p.order_id, c.order_id)::jsonb,
        state = replace(replace(p.state::text, p.order_id, c.order_id), p.certificate_id::text,
            c.certificate_id::text)::jsonb
    FROM copied AS c, pattern AS p WHERE n.certificate_id = c.certificate_id
"""


async def _fill(settings: Settings, url: str, folder: Path) -> None:
    database, keyring = Database(url), keyring_of(settings)
    async with database.transaction() as connection:
        await ProductRepository(connection).put([PRODUCT])
        await PoolRepository(connection).generate(PRODUCT, CERTIFICATES, keyring, datetime.now(UTC))
        await make_days(connection, "inbox", datetime.now(UTC).date(), 1)
    await Leading(database, keyring, PRODUCT).sell(url, 1)
    connection = await asyncpg.connect(url)
    await connection.execute(_COPY)
    await connection.execute(FILL_CARDS.format(quantity=CERTIFICATES))
    await connection.execute("VACUUM ANALYZE")
    await _write_bodies(folder, Seals(database, keyring), await connection.fetch(_CARDS))
    await database.close()
    await connection.close()


async def _write_bodies(folder: Path, seals: Seals, cards: list[asyncpg.Record]) -> None:
    """Write what each purchase sends: small amounts, so that a certificate pays for many."""
    amount = {"amount": 100, "currency": PRODUCT.currency}
    with (folder / SERVICE).open("w") as bodies:
        for card in cards:
            owner = card["certificate_id"].bytes
            secrets = {
                "number": (await seals.open(card["number_sealed"], Purpose.NUMBER, owner)).decode(),
                "cvc": (await seals.open(card["cvc_sealed"], Purpose.CVC, owner)).decode(),
            }
            body = {"channel": CHANNEL, "orderId": "POS-1", "amount": amount} | secrets
            bodies.write(json.dumps(body) + "\n")
    numbers = range(1, len(cards) + 1)
    (folder / FLOOR).write_text("".join(f'{{"card": {number}, "amount": 100}}\n' for number in numbers))


def main() -> None:
    """Print the comparison."""
    chosen = options(rounds=5, seconds=3.0)
    lines = "POST /redemptions", "POST /redemptions"
    measure(_fill, lines, chosen.rounds, chosen.seconds)


if __name__ == "__main__":
    main()

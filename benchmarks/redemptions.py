"""Redemptions per second with token, number, CVC and key, beside a bare hold: ``python -m benchmarks.redemptions``.

One certificate is sold through the real lifecycle; the others are copies of it with orders of their own.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from benchmarks.http_floors import FILL_CARDS
from benchmarks.http_stack import CHANNEL, FLOOR, SERVICE, measure
from benchmarks.measurement import options
from giftcert.domain.cause import Cause
from giftcert.domain.order.messages import GIFT_CERTIFICATE, OrderLine, OrderStated, PaymentCaptured
from giftcert.domain.order.order import apply
from giftcert.domain.products import Product
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.order_changes import OrderChange, revise, save
from giftcert.security.keyring import Keyring
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository

NOMINAL = 500_000
PRODUCT = Product("GC-5000", "RUB", nominal=NOMINAL)
CERTIFICATES = 10_000
"""Each is held a few times in all rounds, as a certificate is in its life."""
ORDER = "BENCH-1"
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
    connection = await asyncpg.connect(url)
    certificate_id = await connection.fetchval("SELECT min(certificate_id::text) FROM certificates")
    await _sell(database, settings, keyring, certificate_id)
    await database.close()
    await connection.execute(_COPY)
    await connection.execute(FILL_CARDS.format(quantity=CERTIFICATES))
    await connection.execute("VACUUM ANALYZE")
    _write_bodies(folder, keyring, await connection.fetch(_CARDS))
    await connection.close()


async def _sell(database: Database, settings: Settings, keyring: Keyring, certificate_id: str) -> None:
    """Order and pay a certificate of the pool, and let it decide."""
    now, cause = datetime.now(UTC), Cause("All_SalesOrder", "so-1", datetime.now(UTC), CHANNEL)
    line = OrderLine(line_id="1", kind=GIFT_CERTIFICATE, amount=NOMINAL, certificate_id=certificate_id)
    stated = OrderStated(
        cause=cause,
        event_type="order.created",
        order_id=ORDER,
        version=1,
        channel=CHANNEL,
        customer_id=None,
        currency=PRODUCT.currency,
        total=NOMINAL,
        lines=(line,),
    )
    captured = PaymentCaptured(
        cause=cause,
        order_id=ORDER,
        payment_id="P-1",
        tender="card",
        amount=NOMINAL,
        currency=PRODUCT.currency,
    )
    order = apply(apply(None, stated, now), captured, now)
    async with database.transaction() as connection:
        reserved = """UPDATE certificates SET status = 'reserved', reservation_ended = false, sequence = 1,
            reservation_id = uuidv7(), reservation_channel = 'im', reserved_at = now(), reserved_until = now(),
            nominal = 500000 WHERE certificate_id = $1::uuid"""
        await connection.execute(reserved, certificate_id)
        change = OrderChange(order=order, is_new=True, said=(stated, captured), recipients={})
        await OrderRepository(connection).lock([ORDER])
        rows = await OrderLineRepository(connection).lock([ORDER])
        revisions, products = await revise(connection, [change], rows, settings.policy)
        await save(connection, [change], revisions, products, now)
    lifecycle = Lifecycle(database, settings.policy, keyring, web_url=settings.workflow_url, build="bench")
    snapshot = await lifecycle.advance(certificate_id, datetime.now(UTC))
    if snapshot.status != "issued":
        raise RuntimeError(f"the certificate is {snapshot.status}")


def _write_bodies(folder: Path, keyring: Keyring, cards: list[asyncpg.Record]) -> None:
    """Write what each purchase sends: small amounts, so that a certificate pays for many."""
    amount = {"amount": 100, "currency": PRODUCT.currency}
    with (folder / SERVICE).open("w") as bodies:
        for card in cards:
            context = card["certificate_id"].bytes
            secrets = {
                "number": keyring.open(card["number_sealed"], context),
                "cvc": keyring.open(card["cvc_sealed"], context),
            }
            body = {"channel": CHANNEL, "orderId": "POS-1", "amount": amount} | secrets
            bodies.write(json.dumps(body) + "\n")
    numbers = range(1, len(cards) + 1)
    (folder / FLOOR).write_text("".join(f'{{"card": {number}, "amount": 100}}\n' for number in numbers))


def main() -> None:
    """Print the comparison."""
    chosen = options(rounds=5, seconds=3.0)
    lines = "POST /redemptions", "POST /redemptions"
    unlimited = {"GIFTCERT_VERIFICATIONS_PER_CALLER": "1000000/second"}
    measure(_fill, lines, chosen.rounds, chosen.seconds, **unlimited)


if __name__ == "__main__":
    main()

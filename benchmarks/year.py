"""A year of the service in its tables: a pool, certificates sold from it, and what is kept beside them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from uuid_utils.compat import uuid7

from benchmarks.lives import INBOX_DAYS, WORTH, Leading, make_inbox_days, write_lives
from giftcert.contracts.notices import BatchSource
from giftcert.domain.products import Product
from giftcert.security.keyring import Keyring
from giftcert.storage.database import Connection, Database
from giftcert.storage.day_partitions import make_days
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository

DAYS = 365
PRODUCT = "GC-5000"
_POOL = """
    WITH made AS (
        INSERT INTO certificates (certificate_id, product_id, batch_id, last_four, currency, nominal)
        SELECT uuidv7(), $3, $2, lpad((n % 10000)::text, 4, '0'), 'RUB', $4 FROM generate_series(1, $1) AS n
        RETURNING certificate_id
    )
    INSERT INTO certificate_secrets (certificate_id, number_sealed, number_fingerprint, cvc_sealed)
    SELECT certificate_id, sha256('number') || sha256('nonce'), sha256(certificate_id::text::bytea), sha256('cvc')
    FROM made
"""
# What callers, guessers, clients and other people's orders leave behind, as many as $1 sales would.
_BESIDE = (
    """INSERT INTO idempotency_keys (caller_key, parameters, answer, kept, answered_at)
        SELECT sha256(('key ' || n)::bytea), sha256('parameters'), '{"status": "authorized"}', n % 3 = 0,
            now() - interval '1 hour' * (n % CASE WHEN n % 3 = 0 THEN 8000 ELSE 24 END)
        FROM generate_series(1, $1) AS n""",
    """INSERT INTO clients (client_id, locale, preferred_channel, merged_into, erased, occurred_at, event_id)
        SELECT 'C-' || n, 'ru-RU', 'email', CASE WHEN n % 50 = 0 THEN 'C-' || n - 1 END, n % 100 = 1,
            now() - interval '1 minute' * n, 'c-' || n
        FROM generate_series(1000, 1000 + $1) AS n""",
    """INSERT INTO unmatched_payments (received_on, order_id, topic, partition, record_offset, message)
        SELECT current_date - (n % 88)::int, 'IM-GOODS' || n, 'All_Payments', n % 8, n, sha256(n::text::bytea)
        FROM generate_series(1, $1 * 3) AS n""",
    """INSERT INTO wrong_credentials (number_fingerprint, caller, guesser, failed_at)
        SELECT sha256(('number ' || n % 2000)::bytea), 'till', sha256(('guesser ' || n % 500)::bytea),
            now() - interval '1 minute' * (n % 1440)
        FROM generate_series(1, $1 / 10) AS n""",
    """INSERT INTO verification_locks (number_fingerprint, attempts, since, channel, locked_at, locked_until, recorded)
        SELECT sha256(('number ' || n)::bytea), 5, now() - interval '1 day', 'pos', now() - interval '23 hours',
            now() - interval '22 hours', true
        FROM generate_series(1, $1 / 100) AS n""",
    """INSERT INTO reservations (reservation_id, certificate_id, channel, reserved_by, reserved_at, reserved_until,
            resolved_at, resolution)
        SELECT uuidv7(), certificate_id, 'im', 'shop-' || n % 20, now() - interval '1 minute' * n,
            now() - interval '1 minute' * (n - 30), now() - interval '1 minute' * (n - 31), 'reservationExpired'
        FROM (SELECT certificate_id, row_number() OVER () AS n FROM certificates LIMIT $1 * 2) AS lapsed""",
    """INSERT INTO disclosure_hours (disclosed_to, hour, disclosed)
        SELECT 'crm-' || n % 5, date_trunc('hour', now()) - interval '1 hour' * n, 10
        FROM generate_series(1, least($1, 168)) AS n""",
)
_SCATTERED = (  # lives are copies, also of who bought
    """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, record_value, reason, detail,
            named_ids, named_orders, quarantined_at, closed_at, closed_how)
        SELECT 'All_SalesOrder', n % 8, n, sha256(n::text::bytea), sha256('value'), 'notJson', 'the value is not JSON',
            ARRAY[uuidv7()], ARRAY[sha256(('order ' || n)::bytea)], now() - interval '1 hour' * n,
            CASE WHEN n > 20 THEN now() END, CASE WHEN n > 20 THEN 'replayed' END
        FROM generate_series(1, 2000) AS n""",
    "UPDATE certificates SET customer_id = 'C-' || 1000 + hashtext(order_id) % 30000 WHERE order_id IS NOT NULL",
    "UPDATE orders SET customer_id = 'C-' || 1000 + hashtext(order_id) % 30000",
    """INSERT INTO pending (certificate_id, order_id, line_key, kind, channel)
        SELECT holder, order_id, line_key, 'order_changed', 'im' FROM order_lines WHERE holder IS NOT NULL LIMIT 50""",
    "INSERT INTO outbox (shard, event_id) SELECT hashtext(event_id::text) & 31, event_id FROM events LIMIT 200",
    "INSERT INTO unlinked_events SELECT event_id FROM events LIMIT 2000",
    """WITH reserved AS (
            UPDATE certificates SET status = 'reserved', reservation_ended = false, reservation_id = uuidv7(),
                reservation_channel = 'im', reserved_at = now(), reserved_until = now() + interval '30 minutes'
            WHERE certificate_id IN (SELECT certificate_id FROM certificates WHERE status = 'available' LIMIT 5000)
            RETURNING *
        )
        INSERT INTO reservations (reservation_id, certificate_id, channel, reserved_by, reserved_at, reserved_until)
        SELECT reservation_id, certificate_id, 'im', 'shop-' || hashtext(certificate_id::text) & 15, reserved_at,
            reserved_until FROM reserved""",
)


async def fill_year(
    url: str, owner_url: str, keyring: Keyring, pool: int, sold: int, live: int, sealed: int
) -> None:
    """Leave ``pool`` certificates unsold and ``sold`` sold within a year, ``live`` of which can still be spent.

    The seals of the first ``sealed`` open; the others are never asked for.
    """
    database, now = Database(url), datetime.now(UTC)
    async with database.transaction() as connection:
        products, repository = ProductRepository(connection), PoolRepository(connection)
        product = (await products.all()).get(PRODUCT) or Product(PRODUCT, "RUB", nominal=WORTH)
        await products.put([product])
        await repository.generate(product, sealed, keyring, now)
        batch, others = uuid7(), pool + sold - sealed
        await repository.add_batch(batch, PRODUCT, others, BatchSource.GENERATE)
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(_POOL, others, batch, PRODUCT, WORTH, timeout=600)
        await repository.tell_loaded(batch, PRODUCT, others, BatchSource.GENERATE, now)
        await make_inbox_days(connection)
        first = now.date() - timedelta(days=INBOX_DAYS)
        await make_days(connection, "unmatched_payments", first, INBOX_DAYS + 2)
    models = await Leading(database, keyring, product).lead(url)
    await database.close()
    ended = max(0, sold - live)
    owner = await asyncpg.connect(owner_url)
    try:
        lives = list(zip(models, (live, ended - ended // 5, ended // 5), strict=True))
        await write_lives(owner, lives, DAYS)
        for statement in _BESIDE:
            await owner.execute(statement, sold)
        await owner.execute("VACUUM ANALYZE")
    finally:
        await owner.close()


async def scatter(owner: Connection) -> None:
    """Give orders buyers of their own and leave some work waiting; the domain would not agree with all of it."""
    for statement in _SCATTERED:
        await owner.execute(statement)


def new_keyring(folder: Path) -> Keyring:
    """Make a keyring in a file of the folder."""
    path = folder / "keyring.json"
    Keyring.create(path)
    return Keyring.load(path)

"""Events in the outbox, as a large backlog or as the many that were published, for measurements."""

from giftcert.dispatch.publisher import WINDOW
from giftcert.storage.database import Database
from giftcert.storage.events import COLUMNS, RECORD
from giftcert.storage.outbox import OutboxRepository

_CHUNK = 9_000
# Three events of each certificate, as a sale has them, of about the size that they have there.
_BACKLOG = f"""
    WITH new_events ({COLUMNS}) AS (
        SELECT uuidv7(), certificate_id::text, certificate_id, sequence, 'issue.completed', now(), 'im', 'im', 'issued',
            'none', 'GC-5000', 500000, 'RUB', 500000, 0, 'All_Payments', 'pay-' || number, jsonb_build_object(
                'orderId', 'IM-' || number, 'lineId', '2', 'amount', jsonb_build_object('amount', 500000, 'currency',
                'RUB'), 'paymentIds', jsonb_build_array('P-' || number), 'validUntil', now() + interval '365 days')
        FROM (SELECT number, gen_random_uuid() AS certificate_id FROM generate_series(1, $1 / 3) AS number) AS sold,
            generate_series(1, 3) AS sequence
    ), {RECORD} SELECT
"""  # noqa: S608 - made of constants


async def record_backlog(database: Database, count: int) -> None:
    """Record so many events, all waiting to be published."""
    for done in range(0, count, _CHUNK):
        async with database.transaction() as connection:
            await connection.execute(_BACKLOG, min(_CHUNK, count - done))


async def empty_outbox(database: Database) -> None:
    """Take all that waits from the outbox as dispatch does, but for Kafka."""
    while True:
        async with database.transaction() as connection:
            outbox = OutboxRepository(connection)
            window = await outbox.lock_window(WINDOW)
            if window is None:
                return
            await outbox.delete(window)

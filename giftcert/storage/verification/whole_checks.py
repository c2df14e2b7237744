"""Questions about the database as a whole: counts, what belongs to no certificate, and what waits too long."""

from giftcert.storage.events import SHARDS
from giftcert.storage.verification.checks import Check

POOL_COUNT = Check(
    1,
    "countDiffers",
    "product",
    """
    SELECT coalesce(b.product_id, c.product_id) AS subject, '' AS about,
        coalesce(b.made, 0) || ' certificates, as its batches say' AS expected,
        coalesce(c.there, 0) || ' over all statuses' AS seen
    FROM (SELECT product_id, sum(quantity) AS made FROM batches GROUP BY 1) AS b
    FULL JOIN (SELECT product_id, count(*) AS there FROM certificates GROUP BY 1) AS c USING (product_id)
    WHERE b.made IS DISTINCT FROM c.there
    """,
)
BATCH_UNRECORDED = Check(
    1,
    "batchUnrecorded",
    "product",
    """
    SELECT b.product_id AS subject, b.batch_id::text AS about,
        format('audit.imported of batch %s with count %s', b.batch_id, b.quantity) AS expected,
        coalesce('count ' || (e.payload ->> 'count'), 'no event') AS seen
    FROM batches b LEFT JOIN events e
        ON e.certificate_id IS NULL AND e.event_type = 'audit.imported' AND e.payload ->> 'batchId' = b.batch_id::text
    WHERE (e.payload ->> 'count')::bigint IS DISTINCT FROM b.quantity
    """,
)
STRANGER_PUBLISHED = Check(
    6,
    "strangerPublished",
    "certificate",
    """
    SELECT t.certificate_id::text AS subject, '' AS about, 'nothing: there is no such certificate' AS expected,
        count(*) || ' events on the stream' AS seen
    FROM stream_events t LEFT JOIN certificates c USING (certificate_id)
    WHERE t.certificate_id IS NOT NULL AND c.certificate_id IS NULL GROUP BY t.certificate_id
    """,
)
PUBLISHED_UNRECORDED = Check(
    5,
    "publishedUnrecorded",
    "event",
    """
    SELECT t.event_id::text AS subject, '' AS about, 'an event that the database has' AS expected,
        'on the stream only' AS seen
    FROM stream_events t LEFT JOIN events e ON e.event_id = t.event_id
    WHERE t.certificate_id IS NULL AND e.event_id IS NULL GROUP BY t.event_id
    """,
)
PENDING = Check(
    9,
    "pending",
    "certificate",
    """
    SELECT p.certificate_id::text AS subject, p.order_id || ' ' || p.line_key AS about,
        'decided within a short time' AS expected,
        format('%s waits since %s', p.kind, p.since) AS seen
    FROM pending AS p JOIN certificates AS c ON c.certificate_id = p.certificate_id
    WHERE p.since < $1 AND c.parked IS NULL ORDER BY p.since
    """,
)
PAYMENT_LEFT_BEHIND = Check(
    9,
    "paymentLeftBehind",
    "order",
    """
    SELECT u.order_id AS subject, format('%s-%s-%s', u.topic, u.partition, u.record_offset) AS about,
        format('the payment at %s-%s offset %s folded into its order', u.topic, u.partition, u.record_offset)
            AS expected,        'still kept as that of an unknown order' AS seen
    FROM orders o JOIN unmatched_payments u USING (order_id) WHERE NOT o.recheck
    """,
)
QUARANTINE_UNREPORTED = Check(
    9,
    "quarantineUnreported",
    "input",
    """
    SELECT format('%s-%s', q.topic, q.partition) AS subject, q.record_offset::text AS about,
        format('%s error events about offset %s', q.lying, q.record_offset) AS expected,
        count(e.event_id)::text AS seen
    FROM (
        SELECT topic, partition, record_offset, count(*) AS lying -- several where the topic was made anew
        FROM quarantine WHERE quarantined_at > $2 GROUP BY topic, partition, record_offset
    ) AS q LEFT JOIN events e
        ON e.stream_key = format('%s-%s', q.topic, q.partition) AND e.event_type LIKE 'error.%'
            AND (e.payload ->> 'offset')::bigint = q.record_offset AND e.event_id > $1
    GROUP BY q.topic, q.partition, q.record_offset, q.lying HAVING count(e.event_id) < q.lying
    """,
)
ORDER_LOST = Check(
    9,
    "orderLost",
    "order",
    """
    SELECT i.order_id AS subject, format('%s-%s-%s', i.topic, i.partition, i.record_offset) AS about,
        format('an order of the %s at %s-%s offset %s', i.event_type, i.topic, i.partition, i.record_offset)
            AS expected,
        'none' AS seen
    FROM inbox i LEFT JOIN orders o USING (order_id)
    WHERE i.event_type LIKE 'order.%' AND o.order_id IS NULL AND i.received_at > $1
    """,
)
SHARD_MISSING = Check(
    9,
    "shardMissing",
    "shard",
    f"""
    SELECT shard::text AS subject, '' AS about, 'a row by which its events are published' AS expected, 'none' AS seen
    FROM generate_series(0, {SHARDS - 1}) AS shard LEFT JOIN outbox_shards s USING (shard) WHERE s.shard IS NULL
    """,  # noqa: S608 - made of constants
)
COUNTS = """
    SELECT (SELECT count(*) FROM products) AS products,
        (SELECT count(*) FROM inbox WHERE received_at > $1) AS inputs,
        (SELECT count(*) FROM quarantine WHERE quarantined_at > $1) AS quarantined
"""

"""Questions about the database as a whole: counts, what belongs to no certificate, and what waits too long."""

from giftcert.storage.shards import SHARDS
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
BATCH_UNTOLD = Check(
    1,
    "batchUntold",
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
STRANGER_TOLD = Check(
    6,
    "strangerTold",
    "certificate",
    """
    SELECT t.certificate_id::text AS subject, '' AS about, 'nothing: there is no such certificate' AS expected,
        count(*) || ' events on the stream' AS seen
    FROM told_events t LEFT JOIN certificates c USING (certificate_id)
    WHERE t.certificate_id IS NOT NULL AND c.certificate_id IS NULL GROUP BY t.certificate_id
    """,
)
TOLD_UNRECORDED = Check(
    5,
    "toldUnrecorded",
    "event",
    """
    SELECT t.event_id::text AS subject, '' AS about, 'an event that the database has' AS expected,
        'on the stream only' AS seen
    FROM told_events t LEFT JOIN events e ON e.event_id = t.event_id
    WHERE t.certificate_id IS NULL AND e.event_id IS NULL GROUP BY t.event_id
    """,
)
UNSENT = Check(
    9,
    "unsent",
    "certificate",
    """
    SELECT certificate_id::text AS subject, message_key AS about, 'sent within a short time' AS expected,
        format('message %s waits since %s', delivery_id, created_at) AS seen
    FROM deliveries WHERE sent_at IS NULL AND created_at < $1 ORDER BY delivery_id
    """,
)
QUARANTINE_UNTOLD = Check(
    9,
    "quarantineUntold",
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
    SELECT i.order_id AS subject, i.identity AS about,
        format('an order of the message at %s-%s offset %s', i.topic, i.partition, i.record_offset) AS expected,
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
    SELECT purpose || '-' || shard AS subject, '' AS about, 'a row by which its work is taken' AS expected,
        'none' AS seen
    FROM unnest(ARRAY['events', 'signals']) AS purpose CROSS JOIN generate_series(0, {SHARDS - 1}) AS shard
    LEFT JOIN shards s USING (purpose, shard) WHERE s.purpose IS NULL
    """,  # noqa: S608 - made of constants
)
COUNTS = """
    SELECT (SELECT count(*) FROM products) AS products,
        (SELECT count(*) FROM inbox WHERE received_at > $1) AS inputs,
        (SELECT count(*) FROM quarantine WHERE quarantined_at > $1) AS quarantined
"""

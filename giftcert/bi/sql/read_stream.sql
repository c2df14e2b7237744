-- One batch of GiftCertificates.Stream, from the table `decoded`.
CREATE OR REPLACE TEMP TABLE decoded AS
SELECT partition, "offset", hash(value) AS digest, from_json(value, '{
    "eventId": "UUID", "eventType": "VARCHAR", "occurredAt": "TIMESTAMPTZ", "recordedAt": "TIMESTAMPTZ",
    "channel": "VARCHAR", "saleChannel": "VARCHAR", "status": "VARCHAR", "refundState": "VARCHAR",
    "certificateId": "UUID", "sequence": "INTEGER", "product": "VARCHAR",
    "nominal": {"amount": "BIGINT", "currency": "VARCHAR"}, "balance": {"amount": "BIGINT", "currency": "VARCHAR"},
    "held": {"amount": "BIGINT", "currency": "VARCHAR"},
    "cause": {"topic": "VARCHAR", "eventId": "VARCHAR"}, "payload": "JSON"
}') AS event
FROM batch WHERE json_valid(value) AND json_type(value) = 'OBJECT';

INSERT OR IGNORE INTO unread
SELECT getvariable('topic'), partition, "offset", 'unreadable'
FROM batch LEFT JOIN decoded USING (partition, "offset")
WHERE event."eventId" IS NULL OR event."eventType" IS NULL OR event."occurredAt" IS NULL OR event."recordedAt" IS NULL;

INSERT OR IGNORE INTO stream
SELECT event."eventId", event."eventType", event."occurredAt", event."recordedAt", event.channel, event."saleChannel",
    event.status, event."refundState", event."certificateId", event.sequence, event.product,
    coalesce(event.nominal.currency, event.balance.currency, event.payload ->> '$.liability.currency'),
    event.nominal.amount, event.balance.amount, event.held.amount, event.payload ->> '$.customerId',
    event.cause.topic, event.cause."eventId", coalesce(event.payload, '{}'), digest, getvariable('read_at')
FROM decoded
WHERE event."eventId" IS NOT NULL AND event."eventType" IS NOT NULL AND event."occurredAt" IS NOT NULL
    AND event."recordedAt" IS NOT NULL
ORDER BY partition, "offset";

INSERT OR IGNORE INTO unread
SELECT getvariable('topic'), partition, "offset", 'repeatDiffers'
FROM decoded JOIN stream ON stream.event_id = event."eventId" WHERE stream.digest <> decoded.digest;

-- One batch of All_Payments.
CREATE OR REPLACE TEMP TABLE decoded AS
SELECT partition, "offset", written_at, from_json(value, '{
    "eventId": "VARCHAR", "eventType": "VARCHAR", "occurredAt": "TIMESTAMPTZ", "channel": "VARCHAR",
    "orderId": "VARCHAR", "paymentId": "VARCHAR", "captureId": "VARCHAR", "refundId": "VARCHAR", "tender": "VARCHAR",
    "amount": "BIGINT", "currency": "VARCHAR", "certificateId": "VARCHAR"
}') AS said
FROM batch WHERE json_valid(value) AND json_type(value) = 'OBJECT';

INSERT OR IGNORE INTO unread
SELECT getvariable('topic'), partition, "offset", 'unreadable'
FROM batch LEFT JOIN decoded USING (partition, "offset")
WHERE said."eventId" IS NULL OR said."eventType" IS NULL OR said."occurredAt" IS NULL OR said."orderId" IS NULL;

INSERT OR IGNORE INTO payment_records
SELECT partition, "offset", written_at, said."eventId", said."eventType", said."occurredAt", said.channel,
    said."orderId", said."paymentId", said."captureId", said."refundId", said.tender, said.amount, said.currency,
    said."certificateId"
FROM decoded
WHERE said."eventId" IS NOT NULL AND said."eventType" IS NOT NULL AND said."occurredAt" IS NOT NULL
    AND said."orderId" IS NOT NULL;

-- The counting rules, as views over the tables. Amounts are minor units of `currency`.

-- A day begins and ends at midnight of the time zone that the file was made for.
CREATE OR REPLACE MACRO local_day(moment) AS CAST(timezone((SELECT time_zone FROM settings), moment) AS DATE);
-- The days that a figure is about: set the variables for less than all.
CREATE OR REPLACE MACRO first_day() AS coalesce(getvariable('first_day'), DATE '2000-01-01');
CREATE OR REPLACE MACRO last_day() AS coalesce(getvariable('last_day'), DATE '2199-12-31');
CREATE OR REPLACE MACRO amount_of(payload, path) AS CAST(json_extract_string(payload, path) AS BIGINT);
-- By what a row of a figure is counted, of `grouping(...)` of day, channel and product.
CREATE OR REPLACE MACRO counted_by(no_day, no_channel, no_product) AS
    CASE 0 WHEN no_day THEN 'day' WHEN no_channel THEN 'channel' WHEN no_product THEN 'product' ELSE 'all' END;
CREATE OR REPLACE MACRO place_of(counted_by) AS list_position(['all', 'day', 'channel', 'product'], counted_by);

-- Every event, with its days: `day` is when it was recorded, `occurred_day` when it happened.
CREATE OR REPLACE VIEW events AS
SELECT *, local_day(recorded_at) AS day, local_day(occurred_at) AS occurred_day FROM stream;

-- Every movement of money, one row per event: what it adds to each figure. The counting rules are here, once.
CREATE OR REPLACE VIEW money AS
SELECT event_id, event_type, certificate_id, sequence, day, occurred_day, occurred_at, recorded_at, product,
    channel, coalesce(sale_channel, channel) AS sale_channel, customer_id,
    coalesce(json_extract_string(payload, '$.amount.currency'), currency) AS currency,
    CASE WHEN event_type = 'issue.completed' THEN 1 ELSE 0 END AS issued,
    CASE WHEN event_type = 'issue.completed' THEN nominal ELSE 0 END AS nominal_issued,
    CASE WHEN event_type = 'issue.completed' THEN amount_of(payload, '$.amount.amount') ELSE 0 END AS sold,
    CASE WHEN event_type = 'issue.completed' THEN nominal - amount_of(payload, '$.amount.amount') ELSE 0 END
        AS discount,
    CASE WHEN is_refund THEN amount_of(payload, '$.amount.amount') - amount_of(payload, '$.excess.amount') ELSE 0 END
        AS refunded,
    CASE WHEN is_refund THEN amount_of(payload, '$.taken.amount') ELSE 0 END AS taken,
    CASE WHEN is_refund THEN amount_of(payload, '$.uncovered.amount') ELSE 0 END AS uncovered,
    CASE WHEN event_type = 'redemption.captured' THEN amount_of(payload, '$.amount.amount') ELSE 0 END AS spent,
    CASE WHEN event_type = 'redemption.restored' THEN amount_of(payload, '$.amount.amount') ELSE 0 END AS restored,
    CASE WHEN event_type = 'audit.expired' THEN amount_of(payload, '$.breakage.amount') ELSE 0 END AS breakage,
    CASE WHEN event_type = 'alert.redemptionUncovered' THEN amount_of(payload, '$.amount.amount') ELSE 0 END
        AS goods_uncovered
FROM (
    SELECT *, event_type = 'refund.completed' AND json_extract_string(payload, '$.beforeIssue') = 'false' AS is_refund
    FROM events
)
WHERE event_type IN ('issue.completed', 'refund.completed', 'redemption.captured', 'redemption.restored',
    'audit.expired', 'alert.redemptionUncovered');

-- Every certificate that anything happened to, as its last event leaves it. What is spendable and what is held is owed
-- to its holder; of a certificate that is no longer live both are 0.
CREATE OR REPLACE VIEW certificates AS
SELECT certificate_id, max(sequence) AS sequence, count(*) AS events, arg_max(product, sequence) AS product,
    arg_max(status, sequence) AS status, arg_max(refund_state, sequence) AS refund_state,
    arg_max(currency, sequence) AS currency, arg_max(nominal, sequence) AS nominal,
    arg_max(balance, sequence) AS balance, arg_max(held, sequence) AS held,
    max(recorded_at) FILTER (event_type = 'issue.completed') AS issued_at,
    max(sale_channel) FILTER (event_type = 'issue.completed') AS sale_channel,
    arg_max(customer_id, sequence) AS customer_id
FROM stream WHERE certificate_id IS NOT NULL GROUP BY certificate_id;

-- By how much each event changed what is owed to holders: summed up to an instant, the liability then.
CREATE OR REPLACE VIEW liability_changes AS
SELECT day, recorded_at, certificate_id, product, currency,
    balance + held - coalesce(lag(balance + held) OVER life, 0) AS change
FROM events WHERE certificate_id IS NOT NULL
WINDOW life AS (PARTITION BY certificate_id ORDER BY sequence)
QUALIFY change <> 0;

-- Every refund case: opened, given to a person, closed. A decision is no money: an approved case closes when the money
-- is counted, a rejected one with the decision.
CREATE OR REPLACE VIEW refund_cases AS
SELECT json_extract_string(payload, '$.refundCaseId') AS refund_case_id, any_value(certificate_id) AS certificate_id,
    any_value(product) AS product, arg_min(coalesce(sale_channel, channel), sequence) AS sale_channel,
    arg_min(customer_id, sequence) AS customer_id, min(day) AS day, min(recorded_at) AS opened_at,
    min(recorded_at) FILTER (event_type = 'refund.pendingDetails') AS pending_at,
    arg_max(json_extract_string(payload, '$.reason'), sequence) FILTER (event_type = 'refund.pendingDetails') AS reason,
    min(recorded_at) FILTER (event_type = 'refund.completed' OR (event_type = 'refund.resolved'
        AND (json_extract_string(payload, '$.decision') = 'reject'
            OR json_extract_string(payload, '$.resolvedBy') = 'system'))) AS closed_at,
    bool_or(json_extract_string(payload, '$.decision') = 'reject') AS is_rejected
FROM events WHERE event_type LIKE 'refund.%' GROUP BY refund_case_id;

-- Every message of All_SalesOrder once: a till that sends its day again makes new event ids, so a message is known by
-- order, version and type.
CREATE OR REPLACE VIEW orders AS
SELECT * FROM order_records
QUALIFY row_number() OVER (PARTITION BY order_id, order_version, event_type ORDER BY partition, "offset") = 1;

-- Every message of All_Payments once: by payment, type, and capture or refund, else amount and instant.
CREATE OR REPLACE VIEW payments AS
SELECT * FROM payment_records
QUALIFY row_number() OVER (
    PARTITION BY payment_id, event_type, CASE
        WHEN event_type = 'payment.refunded' THEN refund_id
        ELSE coalesce(capture_id, amount || ' ' || epoch_us(occurred_at)) END
    ORDER BY partition, "offset"
) = 1;

-- How long buyers waited: from the order to the certificate, and from the payment that completed its price.
CREATE OR REPLACE VIEW issue_times AS
SELECT event_id, day, product, coalesce(sale_channel, channel) AS sale_channel, order_id, ordered_at,
    occurred_at AS paid_at, recorded_at AS issued_at
FROM (SELECT *, json_extract_string(payload, '$.orderId') AS order_id FROM events)
LEFT JOIN (SELECT order_id, min(occurred_at) AS ordered_at FROM orders GROUP BY order_id) USING (order_id)
WHERE event_type = 'issue.completed';

-- The newest audit.snapshot of each product: what the service itself counts.
CREATE OR REPLACE VIEW snapshots AS
SELECT *, CAST(json_extract_string(payload, '$.asOf') AS TIMESTAMPTZ) AS as_of FROM stream
WHERE event_type = 'audit.snapshot'
QUALIFY row_number() OVER (PARTITION BY product ORDER BY recorded_at DESC) = 1;

-- Every day, and whether it is closed: nothing can be recorded in it any more, and what was has been read. An event
-- waits for the stream for seconds, at most minutes; an hour after midnight it is there. Events that a later load still
-- found in a day that an earlier one had closed are counted: then the stream was late by more than that hour.
CREATE OR REPLACE VIEW days AS
WITH ended AS (
    SELECT day, count(*) AS events,
        timezone((SELECT time_zone FROM settings), CAST(day + INTERVAL 1 DAY AS TIMESTAMP)) AS ends_at
    FROM events GROUP BY day
), closed AS (
    SELECT ended.*, read_until AS closed_by
    FROM ended ASOF LEFT JOIN loads ON ends_at + INTERVAL 1 HOUR <= read_until
)
SELECT closed.day, closed.events, ends_at, closed_by IS NOT NULL AS is_closed,
    count(*) FILTER (read_at > closed_by) AS events_after_close
FROM closed JOIN events ON events.day = closed.day
GROUP BY ALL;

-- What was read from the topics, each record once, and up to where. Amounts are minor units of `currency`.

-- The whole file, which has one row of its settings.
CREATE TABLE IF NOT EXISTS settings (
    schema_version INTEGER NOT NULL,
    time_zone VARCHAR NOT NULL -- whose midnight ends a day
);

-- Per partition: the next offset to read. Written in the transaction that writes the records before it.
CREATE TABLE IF NOT EXISTS positions (
    topic VARCHAR NOT NULL,
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- Every load that came to its end: all that was published before `read_until` is here.
CREATE TABLE IF NOT EXISTS loads (
    read_until TIMESTAMPTZ NOT NULL,
    records BIGINT NOT NULL,
    repeats BIGINT NOT NULL
);

-- GiftCertificates.Stream, one row per event: a repeat has the same event_id and is left out.
CREATE TABLE IF NOT EXISTS stream (
    event_id UUID PRIMARY KEY,
    event_type VARCHAR NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL, -- when it happened, by the clock of who caused it
    recorded_at TIMESTAMPTZ NOT NULL, -- when the service committed it
    channel VARCHAR, -- where the cause happened
    sale_channel VARCHAR, -- who sold the certificate
    status VARCHAR, -- after the event, as are refund_state, balance and held
    refund_state VARCHAR,
    certificate_id UUID,
    sequence INTEGER, -- of the certificate's events, from 1 and without gaps
    product VARCHAR,
    currency VARCHAR,
    nominal BIGINT,
    balance BIGINT, -- may be spent
    held BIGINT, -- waits for the payment of a purchase
    customer_id VARCHAR, -- who bought the certificate; on every event that moves money
    cause_topic VARCHAR, -- the record that caused it
    cause_event_id VARCHAR,
    payload JSON NOT NULL,
    digest UBIGINT NOT NULL, -- of the whole record: a repeat has the same
    read_at TIMESTAMPTZ NOT NULL -- read_until of the load that brought it
);

-- All_SalesOrder, every record as it came: the view `orders` has each message once. Whom a certificate is for is not
-- copied: when a client is erased there is nothing to erase here.
CREATE TABLE IF NOT EXISTS order_records (
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    written_at TIMESTAMPTZ NOT NULL, -- Kafka's timestamp
    event_id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    channel VARCHAR,
    order_id VARCHAR NOT NULL,
    order_version BIGINT,
    customer_id VARCHAR,
    currency VARCHAR,
    total BIGINT,
    lines STRUCT("lineId" VARCHAR, kind VARCHAR, "certificateId" VARCHAR, amount BIGINT)[],
    PRIMARY KEY (partition, "offset")
);

-- All_Payments, every record as it came: the view `payments` has each message once.
CREATE TABLE IF NOT EXISTS payment_records (
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    written_at TIMESTAMPTZ NOT NULL,
    event_id VARCHAR NOT NULL,
    event_type VARCHAR NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    channel VARCHAR,
    order_id VARCHAR NOT NULL,
    payment_id VARCHAR,
    capture_id VARCHAR,
    refund_id VARCHAR,
    tender VARCHAR,
    amount BIGINT,
    currency VARCHAR,
    certificate_id VARCHAR,
    PRIMARY KEY (partition, "offset")
);

-- Records that say nothing a row could be made of, by place; and events that came again with other content.
CREATE TABLE IF NOT EXISTS unread (
    topic VARCHAR NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    reason VARCHAR NOT NULL, -- unreadable, or repeatDiffers
    PRIMARY KEY (topic, partition, "offset")
);

-- Everything the service remembers. Money is minor units of the row's currency; times are UTC instants.

CREATE TABLE products (
    product_id text PRIMARY KEY,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    nominal bigint CHECK (nominal > 0),
    least_nominal bigint CHECK (least_nominal > 0),
    greatest_nominal bigint CHECK (greatest_nominal >= least_nominal),
    validity interval NOT NULL,
    reservation interval NOT NULL,
    reservation_limit interval NOT NULL,
    hold interval NOT NULL,
    hold_limit interval NOT NULL,
    greatest_discount_percent smallint NOT NULL CHECK (greatest_discount_percent BETWEEN 0 AND 100),
    number_length smallint NOT NULL CHECK (number_length BETWEEN 12 AND 19),
    cvc_length smallint NOT NULL CHECK (cvc_length BETWEEN 3 AND 8),
    CHECK ((nominal IS NULL) = (least_nominal IS NOT NULL AND greatest_nominal IS NOT NULL))
);

CREATE TABLE batches (
    batch_id uuid PRIMARY KEY,
    product_id text NOT NULL REFERENCES products,
    quantity integer NOT NULL CHECK (quantity > 0),
    source text NOT NULL CHECK (source IN ('generate', 'import')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The columns are the authority for what they hold; `state` holds the rest of the domain's state (orders, sales,
-- refund cases) and is NULL while there is nothing more to say.
CREATE TABLE certificates (
    certificate_id uuid PRIMARY KEY,
    product_id text NOT NULL REFERENCES products,
    batch_id uuid NOT NULL REFERENCES batches,
    number_sealed bytea NOT NULL,
    number_fingerprint bytea NOT NULL,
    last_four text NOT NULL CHECK (last_four ~ '^[0-9]{4}$'),
    cvc_sealed bytea NOT NULL,
    currency text NOT NULL,
    nominal bigint NOT NULL DEFAULT 0 CHECK (nominal >= 0), -- 0: open value, not chosen yet
    status text NOT NULL DEFAULT 'available' CHECK (status IN ('available', 'reserved', 'ordered', 'issued',
        'partiallyRedeemed', 'redeemed', 'refunded', 'expired', 'retired')),
    blocked boolean NOT NULL DEFAULT false,
    balance bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    refund_state text NOT NULL DEFAULT 'none' CHECK (refund_state IN ('none', 'requested', 'awaitingCapture',
        'pendingDetails', 'completed', 'rejected')),
    -- over earlier sales too: what support looks for
    any_refund_state text NOT NULL DEFAULT 'none',
    refund_reason text,
    sale_channel text,
    order_id text,
    line_id text,
    customer_id text,
    reservation_id uuid,
    reservation_channel text,
    reserved_at timestamptz,
    reserved_until timestamptz,
    reservation_ended boolean NOT NULL DEFAULT true,
    available_since timestamptz NOT NULL DEFAULT '-infinity', -- '-infinity': never reserved
    sequence integer NOT NULL DEFAULT 0 CHECK (sequence >= 0), -- of the last public event
    version integer NOT NULL DEFAULT 0, -- of the lifecycle: rises with every transition
    state jsonb,
    CHECK (balance + held <= nominal),
    CHECK ((status = 'reserved') = (NOT reservation_ended)),
    CHECK (status NOT IN ('ordered', 'issued', 'partiallyRedeemed', 'redeemed') OR order_id IS NOT NULL)
);
-- Every claim leaves a dead entry at the head of certificates_pool, which the next claims step over until vacuum.
ALTER TABLE certificates SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);
CREATE UNIQUE INDEX certificates_number ON certificates (number_fingerprint);
CREATE INDEX certificates_pool ON certificates (product_id, available_since, certificate_id)
    WHERE status = 'available' AND NOT blocked;
CREATE INDEX certificates_reserved_until ON certificates (reserved_until) WHERE status = 'reserved';
-- An order line has at most one live certificate.
CREATE UNIQUE INDEX certificates_live_line ON certificates (order_id, line_id)
    WHERE status IN ('ordered', 'issued', 'partiallyRedeemed', 'redeemed', 'expired');
CREATE INDEX certificates_customer ON certificates (customer_id) WHERE customer_id IS NOT NULL;
-- Only of those that are or were sold: nobody looks for others, and claims need not write here.
CREATE INDEX certificates_last_four ON certificates (last_four) WHERE order_id IS NOT NULL;
CREATE INDEX certificates_open_refund ON certificates (any_refund_state)
    WHERE any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails');

CREATE TABLE reservations (
    reservation_id uuid PRIMARY KEY,
    certificate_id uuid NOT NULL REFERENCES certificates,
    channel text NOT NULL,
    reserved_by text NOT NULL, -- subject of the token
    reserved_at timestamptz NOT NULL,
    reserved_until timestamptz NOT NULL,
    resolved_at timestamptz,
    resolution text CHECK (resolution IN ('ordered', 'reservationExpired', 'channelReleased', 'retired')),
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);
CREATE UNIQUE INDEX reservations_one_live ON reservations (certificate_id) WHERE resolved_at IS NULL;
CREATE INDEX reservations_live_of_caller ON reservations (reserved_by) WHERE resolved_at IS NULL;

CREATE TABLE idempotency_keys (
    caller text COLLATE "C" NOT NULL, -- compared byte by byte: every claim with a key waits for it
    call text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 64),
    parameters bytea NOT NULL, -- SHA-256 of the call's parameters
    answer jsonb NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, call, idempotency_key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (answered_at);

-- Public events: written with the change they tell of, published by dispatch afterwards.
CREATE TABLE events (
    event_id uuid PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY,
    shard smallint NOT NULL,
    stream_key text NOT NULL,
    certificate_id uuid,
    sequence integer,
    event_type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    channel text,
    sale_channel text,
    status text,
    refund_state text,
    product_id text,
    nominal bigint,
    currency text,
    balance bigint,
    held bigint,
    cause_topic text,
    cause_event_id text,
    payload jsonb NOT NULL,
    published_at timestamptz,
    CHECK ((certificate_id IS NULL) = (sequence IS NULL))
);
CREATE UNIQUE INDEX events_sequence ON events (certificate_id, sequence) WHERE certificate_id IS NOT NULL;
CREATE INDEX events_refund ON events ((payload ->> 'refundId')) WHERE payload ? 'refundId';
CREATE INDEX events_unpublished ON events (shard, position) WHERE published_at IS NULL;

-- A shard is one stream of work that one process at a time carries out, in order.
CREATE TABLE shards (
    purpose text NOT NULL CHECK (purpose IN ('events', 'signals')),
    shard smallint NOT NULL,
    last_run timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (purpose, shard)
);
INSERT INTO shards (purpose, shard)
SELECT purpose, shard FROM unnest(ARRAY['events', 'signals']) AS purpose, generate_series(0, 31) AS shard;

-- 409s that are not on the stream yet: the first is told at once, the rest at most once a second.
CREATE TABLE blocked_attempts (
    product_id text NOT NULL,
    channel text NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    first_at timestamptz,
    last_at timestamptz,
    told_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (product_id, channel)
);

CREATE TABLE disclosures (
    disclosure_id uuid PRIMARY KEY,
    certificate_id uuid NOT NULL REFERENCES certificates,
    disclosed_to text NOT NULL,
    purpose text NOT NULL,
    notification_id text,
    disclosed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sequence integer NOT NULL, -- of its audit.cvcDisclosed
    UNIQUE (certificate_id, sequence)
);
CREATE INDEX disclosures_certificate ON disclosures (certificate_id, disclosed_at);

-- Ingest ------------------------------------------------------------------------------------------------------------

-- Orders that name, or once named, a certificate. `snapshot` is the order as it now is, with the certificate of each
-- line. While `recheck` is set, payments that another process committed at the same instant may still be unseen;
-- `recheck_fence` is a transaction id given after the mapping was committed (ADR 41).
CREATE TABLE orders (
    order_id text PRIMARY KEY,
    version integer NOT NULL,
    customer_id text,
    snapshot jsonb NOT NULL,
    recheck boolean NOT NULL DEFAULT true,
    recheck_fence bigint,
    mapped_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_recheck ON orders (order_id) WHERE recheck;
CREATE INDEX orders_customer ON orders (customer_id) WHERE customer_id IS NOT NULL;

CREATE TABLE order_certificates (
    order_id text NOT NULL REFERENCES orders,
    certificate_id uuid NOT NULL REFERENCES certificates,
    mapped_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, certificate_id)
);
CREATE INDEX order_certificates_certificate ON order_certificates (certificate_id);

-- Lines that name a certificate that we do not know: money that comes for them is reported.
CREATE TABLE unknown_lines (
    order_id text NOT NULL REFERENCES orders,
    line_id text NOT NULL,
    named_certificate text NOT NULL,
    alerted_amount bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, line_id)
);

-- Messages of orders with certificates, with what makes two of them the same.
CREATE TABLE inbox (
    inbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity text NOT NULL UNIQUE,
    content bytea NOT NULL, -- SHA-256 of the fields that we decode
    order_id text,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    original bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX inbox_order ON inbox (order_id, inbox_id);

-- What each certificate has to be told, in the order of delivery_id; `message` is the tagged domain message.
CREATE TABLE deliveries (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    certificate_id uuid NOT NULL,
    message_key text NOT NULL,
    shard smallint NOT NULL,
    channel text NOT NULL, -- task queue of the workflow that it may have to start
    message bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at timestamptz,
    UNIQUE (certificate_id, message_key)
);
CREATE INDEX deliveries_unsent ON deliveries (shard, delivery_id) WHERE sent_at IS NULL;

-- The authority on repeats: written in the transaction that applies the message.
CREATE TABLE applied_messages (
    certificate_id uuid NOT NULL,
    message_key text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (certificate_id, message_key)
);

-- Payments of orders that are not known to hold a certificate, in day partitions that are dropped whole.
CREATE TABLE unmatched_payments (
    received_on date NOT NULL,
    order_id text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    message bytea NOT NULL
) PARTITION BY RANGE (received_on);
CREATE INDEX unmatched_payments_order ON unmatched_payments (order_id);
CREATE TABLE unmatched_payments_default PARTITION OF unmatched_payments DEFAULT;
-- The first day that is still kept; '-infinity' until the first days are dropped.
CREATE TABLE payment_horizon (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    kept_since date NOT NULL DEFAULT '-infinity'
);
INSERT INTO payment_horizon DEFAULT VALUES;

CREATE TABLE clients (
    client_id text PRIMARY KEY,
    locale text,
    preferred_channel text,
    merged_into text,
    blocked boolean NOT NULL DEFAULT false,
    erased boolean NOT NULL DEFAULT false,
    occurred_at timestamptz NOT NULL,
    event_id text NOT NULL,
    message_key text NOT NULL
);
CREATE INDEX clients_merged ON clients (merged_into) WHERE merged_into IS NOT NULL;

-- Everything of the partition up to this instant of our clock is committed; '-infinity' until that is so for once.
CREATE TABLE ingest_marks (
    topic text NOT NULL,
    partition integer NOT NULL,
    caught_up_to timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- Records that could not be applied. Key and value are sealed by the keyring, as they may hold anything.
CREATE TABLE quarantine (
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    record_key bytea,
    record_value bytea,
    reason text NOT NULL,
    detail text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replayed_at timestamptz,
    PRIMARY KEY (topic, partition, record_offset)
);

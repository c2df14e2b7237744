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
    low_threshold integer CHECK (low_threshold >= 0), -- NULL: as the service is set
    replenish_to integer CHECK (replenish_to >= 0),
    CHECK ((nominal IS NULL) = (least_nominal IS NOT NULL AND greatest_nominal IS NOT NULL))
);

CREATE TABLE batches (
    batch_id uuid PRIMARY KEY,
    product_id text NOT NULL REFERENCES products,
    quantity integer NOT NULL CHECK (quantity > 0),
    source text NOT NULL CHECK (source IN ('generate', 'import', 'replenish')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The columns are the authority for what they hold; `state` holds the rest of the domain's state (sales, refund cases,
-- redemptions) and is NULL while there is nothing more to say.
CREATE TABLE certificates (
    certificate_id uuid PRIMARY KEY,
    product_id text NOT NULL REFERENCES products,
    batch_id uuid NOT NULL REFERENCES batches,
    last_four text NOT NULL CHECK (last_four ~ '^[0-9]{4}$'),
    currency text NOT NULL,
    nominal bigint NOT NULL DEFAULT 0 CHECK (nominal >= 0), -- 0: open value, not chosen yet
    status text NOT NULL DEFAULT 'available' CHECK (status IN ('available', 'reserved', 'ordered', 'issued',
        'partiallyRedeemed', 'redeemed', 'refunded', 'expired', 'retired')),
    blocked boolean NOT NULL DEFAULT false,
    balance bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    refund_state text NOT NULL DEFAULT 'none' CHECK (refund_state IN ('none', 'requested', 'awaitingCapture',
        'pendingDetails', 'completed', 'rejected')),
    any_refund_state text NOT NULL DEFAULT 'none' CHECK (any_refund_state IN ('none', 'requested', 'awaitingCapture',
        'pendingDetails', 'completed', 'rejected')), -- over earlier sales too: what support looks for
    sale_channel text,
    order_id text,
    line_key integer,
    customer_id text,
    reservation_id uuid,
    reservation_channel text,
    reserved_at timestamptz,
    reserved_until timestamptz,
    reservation_ended boolean NOT NULL DEFAULT true,
    available_since timestamptz NOT NULL DEFAULT '-infinity', -- '-infinity': never reserved
    sequence integer NOT NULL DEFAULT 0 CHECK (sequence >= 0), -- of the last public event
    version integer NOT NULL DEFAULT 0, -- of the lifecycle: rises with every decision that changes anything
    decided_at timestamptz, -- the clock of decisions never goes back
    next_instant timestamptz, -- when the certificate next looks at itself
    timer_at timestamptz, -- what the workflow's timer is set to; NULL: no run waits
    run_key bigint, -- the data key that sealed what its workflow holds; NULL: it needs none
    swept_at timestamptz, -- when the sweep last signalled
    known_lines jsonb, -- [[order id, line key], …]: the order lines that its decisions need
    waits boolean NOT NULL DEFAULT false, -- for a line that another certificate holds
    parked jsonb, -- work that could not be decided: what, build, error, since, and the standing that it was of
    state jsonb,
    CHECK (balance + held <= nominal),
    CHECK ((status = 'reserved') = (NOT reservation_ended)),
    CHECK (status NOT IN ('ordered', 'issued', 'partiallyRedeemed', 'redeemed') OR order_id IS NOT NULL)
) WITH (fillfactor = 85);
ALTER TABLE certificates SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);
CREATE INDEX certificates_pool ON certificates (product_id, available_since, certificate_id)
    WHERE status = 'available' AND NOT blocked;
CREATE INDEX certificates_reserved_until ON certificates (reserved_until) WHERE status = 'reserved';
CREATE INDEX certificates_next_instant ON certificates (next_instant) WHERE next_instant IS NOT NULL;
-- An order line has at most one live certificate.
CREATE UNIQUE INDEX certificates_live_line ON certificates (order_id, line_key)
    WHERE status IN ('ordered', 'issued', 'partiallyRedeemed', 'redeemed', 'expired');
CREATE INDEX certificates_customer ON certificates (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX certificates_last_four ON certificates (last_four) WHERE order_id IS NOT NULL;
CREATE INDEX certificates_open_refund ON certificates (any_refund_state)
    WHERE any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails');
CREATE INDEX certificates_parked ON certificates (certificate_id) WHERE parked IS NOT NULL;

-- How many certificates of each product are in each status, blocked ones as 'blocked'. Whoever changes a status adds a
-- row to `pool_changes` in the same transaction; maintenance empties it into the other two. So nobody waits for a
-- counter. `pool_sales`: of the last day, for the forecast.
CREATE TABLE pool_counts (
    product_id text NOT NULL REFERENCES products,
    status text NOT NULL,
    certificates bigint NOT NULL,
    PRIMARY KEY (product_id, status)
) WITH (fillfactor = 50);
CREATE TABLE pool_changes (
    product_id text NOT NULL,
    was text, -- NULL: new in the pool
    status text NOT NULL,
    certificates bigint NOT NULL
);
ALTER TABLE pool_changes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE TABLE pool_sales (
    product_id text NOT NULL REFERENCES products,
    hour timestamptz NOT NULL,
    sold bigint NOT NULL,
    PRIMARY KEY (product_id, hour)
) WITH (fillfactor = 50);
-- Products of which alert.poolLow was recorded and the pool has not recovered since.
CREATE TABLE low_pools (
    product_id text PRIMARY KEY REFERENCES products,
    since timestamptz NOT NULL
);

-- Keys that seal numbers, CVCs, quarantined records and originals: one for each batch of the pool and each day of
-- inputs. Wrapped by the master key, which is not here. A seal names its key: a byte 1, then the key's id in four.
CREATE TABLE data_keys (
    key_id bigint PRIMARY KEY,
    scope text NOT NULL, -- 'batch …' or 'inputs 2026-11-29'
    wrapped bytea, -- NULL: destroyed
    created_at timestamptz NOT NULL,
    retired_at timestamptz, -- by a rotation: it seals no more, and what it sealed is sealed anew
    resealed_at timestamptz, -- when only originals were found any more that it sealed: they go with their days
    destroyed_at timestamptz,
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    CHECK (destroyed_at IS NULL OR retired_at IS NOT NULL)
);
CREATE UNIQUE INDEX data_keys_sealing ON data_keys (scope) WHERE retired_at IS NULL;

-- Secrets change only when they are sealed anew, so they lie beside the row that changes: each update copies less.
CREATE TABLE certificate_secrets (
    certificate_id uuid PRIMARY KEY REFERENCES certificates,
    number_sealed bytea NOT NULL,
    number_fingerprint bytea NOT NULL,
    cvc_sealed bytea NOT NULL
);
CREATE UNIQUE INDEX certificate_secrets_number ON certificate_secrets (number_fingerprint);

-- Files that are being imported, or were within a week. Their sealed rows wait here until all can be loaded at once.
-- `file_digest`: keyed, of all bytes of the file, so that the same file goes on where it stopped.
CREATE TABLE pool_imports (
    batch_id uuid PRIMARY KEY,
    product_id text NOT NULL REFERENCES products,
    file_digest bytea NOT NULL,
    key_id bigint NOT NULL, -- the data key by which the rows are sealed
    quantity integer NOT NULL CHECK (quantity > 0),
    sealed integer NOT NULL DEFAULT 0 CHECK (sealed BETWEEN 0 AND quantity),
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    UNIQUE (product_id, file_digest)
);
CREATE TABLE pool_import_rows (
    batch_id uuid NOT NULL REFERENCES pool_imports ON DELETE CASCADE,
    row_number integer NOT NULL,
    line integer NOT NULL, -- of the file
    certificate_id uuid NOT NULL,
    last_four text NOT NULL,
    number_sealed bytea NOT NULL,
    number_fingerprint bytea NOT NULL,
    cvc_sealed bytea NOT NULL,
    PRIMARY KEY (batch_id, row_number)
);

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
CREATE INDEX reservations_age ON reservations (resolved_at) WHERE resolved_at IS NOT NULL;

-- Orders ----------------------------------------------------------------------------------------------------------

-- Orders that name, or once named, a certificate line. `aggregate` is all that was said of the order (msgpack); its
-- row's lock serialises whatever folds it. While `recheck` is set, payments that another process committed at the same
-- instant may still be unseen; `recheck_fence` is a transaction id given after the order's commit.
CREATE TABLE orders (
    order_id text COLLATE "C" PRIMARY KEY,
    customer_id text,
    aggregate bytea NOT NULL,
    too_large boolean NOT NULL DEFAULT false, -- nothing is released on time alone
    recheck boolean NOT NULL DEFAULT true,
    recheck_fence bigint,
    mapped_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 80);
CREATE INDEX orders_recheck ON orders (mapped_at) WHERE recheck;
CREATE INDEX orders_customer ON orders (customer_id) WHERE customer_id IS NOT NULL;

-- The newest standing of each certificate line. Ingest writes standing, recipient and unpaid_until; the deciding
-- transaction writes holder, waiters, counted and open_case.
CREATE TABLE order_lines (
    order_id text COLLATE "C" NOT NULL REFERENCES orders,
    line_key integer NOT NULL,
    line_id text NOT NULL,
    standing jsonb NOT NULL,
    recipient jsonb,
    unpaid_until timestamptz,
    named_certificates uuid[] NOT NULL DEFAULT '{}', -- ours that the line names or ever named, newest last
    speaker uuid, -- who speaks for the line's money while nobody holds it: the one named last, if it is ours
    holder uuid,
    holder_status text,
    waiters uuid[] NOT NULL DEFAULT '{}',
    counted jsonb,
    open_case jsonb, -- of a certificate that let go before issue: the next one takes it over
    reported jsonb, -- what ingest has reported of a line that none of ours speaks for
    PRIMARY KEY (order_id, line_key)
) WITH (fillfactor = 80);

-- Work that waits for a certificate: a line whose standing changed, or spendings ('' and 0).
CREATE SEQUENCE pending_number;
CREATE TABLE pending (
    certificate_id uuid NOT NULL,
    order_id text COLLATE "C" NOT NULL DEFAULT '',
    line_key integer NOT NULL DEFAULT 0,
    number bigint NOT NULL DEFAULT nextval('pending_number'),
    kind text NOT NULL, -- the signal that tells of it
    channel text NOT NULL, -- task queue of the workflow that it may have to start
    cause_topic text,
    cause_event_id text,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    signalled_at timestamptz,
    PRIMARY KEY (certificate_id, order_id, line_key)
);
CREATE INDEX pending_since ON pending (since);
-- Lower bounds of the sweep's looks: nothing older waits, so that a look passes over no dead entries.
CREATE TABLE sweep_bounds (
    kind text PRIMARY KEY CHECK (kind IN ('pending', 'certificates', 'orders')),
    looked_to timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO sweep_bounds (kind) VALUES ('pending'), ('certificates'), ('orders');
ALTER TABLE pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Payments with a certificate as tender, each applied once by the certificate that it names.
CREATE TABLE spendings (
    identity text COLLATE "C" PRIMARY KEY,
    content bytea NOT NULL, -- SHA-256 of the fields that we decode
    certificate_id uuid NOT NULL,
    message jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    number bigint GENERATED ALWAYS AS IDENTITY,
    applied_at timestamptz
);
CREATE INDEX spendings_certificate ON spendings (certificate_id, number);

CREATE TABLE redemptions (
    certificate_id uuid NOT NULL REFERENCES certificates,
    redemption_id text COLLATE "C" NOT NULL, -- ours are UUIDv7; payments may name others
    channel text,
    order_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('authorized', 'captured', 'voided', 'lapsed')),
    amount bigint NOT NULL CHECK (amount >= 0),
    held bigint NOT NULL CHECK (held >= 0),
    spent bigint NOT NULL CHECK (spent >= 0),
    restored bigint NOT NULL CHECK (restored BETWEEN 0 AND spent),
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((state = 'authorized') = (held > 0)),
    PRIMARY KEY (certificate_id, redemption_id)
);
CREATE INDEX redemptions_id ON redemptions (redemption_id);

-- Disclosures of CVCs. `sequence` is that of its audit.cvcDisclosed.
CREATE TABLE disclosures (
    certificate_id uuid NOT NULL REFERENCES certificates,
    disclosed_to text NOT NULL,
    purpose text NOT NULL,
    notification_id text,
    disclosed_at timestamptz NOT NULL,
    sequence integer NOT NULL,
    PRIMARY KEY (certificate_id, sequence)
);
CREATE INDEX disclosures_of_caller ON disclosures (disclosed_to, disclosed_at);
CREATE INDEX disclosures_age ON disclosures USING brin (disclosed_at);

-- How many CVCs a caller got in each hour of the last week. `reported`: it was published that this hour is unusual.
CREATE TABLE disclosure_hours (
    disclosed_to text NOT NULL,
    hour timestamptz NOT NULL,
    disclosed integer NOT NULL DEFAULT 0,
    reported boolean NOT NULL DEFAULT false,
    PRIMARY KEY (disclosed_to, hour)
);

-- One mechanism for Idempotency-Key: written last, on success, in the transaction of what it answers. `caller_key` is
-- a keyed hash of the caller, the call and the key. `kept` answers (redemptions) are never forgotten.
CREATE TABLE idempotency_keys (
    caller_key bytea PRIMARY KEY,
    parameters bytea NOT NULL,
    answer jsonb NOT NULL,
    kept boolean NOT NULL DEFAULT false,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (answered_at) WHERE NOT kept;

-- Events ----------------------------------------------------------------------------------------------------------

-- Public events, kept as long as the law and BI want them. Written with the change that they tell of.
CREATE TABLE events (
    event_id uuid PRIMARY KEY,
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
    CHECK ((certificate_id IS NULL) = (sequence IS NULL))
);
CREATE UNIQUE INDEX events_sequence ON events (certificate_id, sequence) WHERE certificate_id IS NOT NULL;
CREATE INDEX events_refund ON events ((payload ->> 'refundId')) WHERE payload ? 'refundId';
CREATE INDEX events_refund_case ON events ((payload ->> 'refundCaseId')) WHERE payload ? 'refundCaseId';

-- What the last audit.snapshot said of each product; the next adds to it what was recorded since. `as_of` is the instant
-- of the last, NULL while there is none; whoever records the next holds its row.
CREATE TABLE product_figures (
    product_id text NOT NULL REFERENCES products,
    figure text NOT NULL, -- 'liability', 'statuses.available', …
    total bigint NOT NULL,
    PRIMARY KEY (product_id, figure)
);
CREATE TABLE snapshot_mark (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    as_of timestamptz
);
INSERT INTO snapshot_mark DEFAULT VALUES;

-- Events that are not on the stream yet: emptied as it is published, shard by shard in the order of `position`.
CREATE TABLE outbox (
    shard smallint NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    PRIMARY KEY (shard, position)
);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- A shard is published by one process at a time. `emptied_to`: no row of the shard lies at or below it any more, nor
-- can come; a look begins there, so that it passes over no dead entries.
CREATE TABLE outbox_shards (
    shard smallint PRIMARY KEY,
    emptied_to bigint NOT NULL DEFAULT 0,
    last_run timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10);
INSERT INTO outbox_shards (shard) SELECT generate_series(0, 31);

-- Looks for an event that waits, in whatever shard, so many times, five milliseconds apart, or until there is one: to be
-- asked each time costs a dispatcher, and us, ten times as much. While no position was drawn since nothing was left
-- (`empty_at`), a look reads one page.
CREATE FUNCTION look_for_event(
    empty_at bigint, times integer, OUT last_position bigint, OUT oldest_running bigint, OUT event_waits boolean
) LANGUAGE plpgsql AS $$
    BEGIN
        LOOP
            SELECT drawn.position, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
                CASE WHEN drawn.position <> empty_at THEN EXISTS (
                    SELECT FROM outbox_shards AS s, LATERAL (
                        SELECT FROM outbox AS o
                        WHERE o.shard = s.shard AND o.position > s.emptied_to ORDER BY o.position LIMIT 1
                    ) AS first
                ) ELSE false END
            INTO last_position, oldest_running, event_waits
            FROM (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS position FROM outbox_position_seq) AS drawn;
            times := times - 1;
            EXIT WHEN event_waits OR times <= 0;
            PERFORM pg_sleep(0.005);
        END LOOP;
    END
$$;

-- Hash chain over `events`. Each link holds keyed hashes of some events and, in `seal`, one of itself and of the seal
-- before it. Written by maintenance, which empties `unlinked_events`; checked by `verify`.
CREATE TABLE audit_links (
    number bigint PRIMARY KEY CHECK (number > 0), -- without gaps
    linked_at timestamptz NOT NULL,
    event_ids uuid[] NOT NULL,
    event_macs bytea[] NOT NULL,
    seal bytea NOT NULL,
    CHECK (cardinality(event_ids) = cardinality(event_macs))
);
-- Without an index: recording an event costs little more, and whoever links takes any.
CREATE TABLE unlinked_events (event_id uuid NOT NULL);
ALTER TABLE unlinked_events SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Claims that were refused (409) and are not recorded as an event yet: the first is at once, the rest once a second.
CREATE TABLE refused_claims (
    product_id text NOT NULL,
    channel text NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    first_at timestamptz,
    last_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (product_id, channel)
) WITH (fillfactor = 50);

-- Ingest ----------------------------------------------------------------------------------------------------------

-- Originals of what was folded, sealed, for `giftcert trace`: in day partitions that are dropped whole. Repeats are
-- known by the order aggregate and by `spendings`, not here.
CREATE TABLE inbox (
    received_on date NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    original bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (received_on);
CREATE INDEX inbox_order ON inbox (order_id);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;

-- Payments of orders that are not known to hold a certificate, in day partitions that are dropped whole.
CREATE TABLE unmatched_payments (
    received_on date NOT NULL,
    order_id text COLLATE "C" NOT NULL,
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

-- Clients as CRM last described them. While `erasure_recheck` is set, a transaction that began before the erasure was
-- committed may still write a recipient of theirs; `erasure_fence` is a transaction id given after that commit.
CREATE TABLE clients (
    client_id text PRIMARY KEY,
    locale text,
    preferred_channel text,
    merged_into text,
    blocked boolean NOT NULL DEFAULT false,
    erased boolean NOT NULL DEFAULT false,
    occurred_at timestamptz NOT NULL,
    event_id text NOT NULL,
    erasure_recheck boolean NOT NULL DEFAULT false,
    erasure_fence bigint
);
CREATE INDEX clients_merged ON clients (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX clients_erasure ON clients (client_id) WHERE erasure_recheck;

-- Everything of the partition up to this instant of our clock is committed; '-infinity' until that is so for once.
CREATE TABLE ingest_marks (
    topic text NOT NULL,
    partition integer NOT NULL,
    caught_up_to timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 20);

-- Records that could not be applied. Key and value are sealed by the keyring, as they may hold anything; the value is
-- cut above the size limit. What the whole record names is extracted before: `named_ids` are all UUIDs in key and
-- value, `named_orders` keyed hashes of the order ids that it may mean. A record is open until it is closed, and an
-- open one holds back the release of whatever it names; where `searchable` is false, of all that was reserved before
-- `quarantined_at`.
CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    fingerprint bytea NOT NULL, -- of key and value, by the keyring: a topic made anew has others at the same places
    record_key bytea,
    record_value bytea,
    written_at timestamptz, -- the record's own time
    reason text NOT NULL,
    detail text NOT NULL,
    contradiction bytea UNIQUE, -- SHA-256 of identity and content, of a contradiction only: kept and reported once
    named_ids uuid[] NOT NULL DEFAULT '{}',
    named_orders bytea[] NOT NULL DEFAULT '{}',
    searchable boolean NOT NULL DEFAULT true,
    quarantined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    closed_how text CHECK (closed_how IN ('replayed', 'dismissed')),
    CHECK ((closed_at IS NULL) = (closed_how IS NULL)),
    PRIMARY KEY (topic, partition, record_offset, fingerprint)
);
CREATE INDEX quarantine_open ON quarantine (quarantined_at) WHERE closed_at IS NULL;
CREATE INDEX quarantine_named_ids ON quarantine USING gin (named_ids) WHERE closed_at IS NULL;
CREATE INDEX quarantine_named_orders ON quarantine USING gin (named_orders) WHERE closed_at IS NULL;
CREATE INDEX quarantine_unsearchable ON quarantine (quarantined_at) WHERE closed_at IS NULL AND NOT searchable;

-- Guessing ----------------------------------------------------------------------------------------------------------

-- A row per check that failed, whether the number exists or not: else the time of the answer would tell. `guesser` is
-- a keyed hash of the caller and what it calls its own customer, or of the caller alone.
CREATE TABLE wrong_credentials (
    number_fingerprint bytea NOT NULL,
    caller text NOT NULL, -- for whoever looks into it
    guesser bytea NOT NULL,
    failed_at timestamptz NOT NULL
);
CREATE INDEX wrong_credentials_number ON wrong_credentials (number_fingerprint, failed_at);
CREATE INDEX wrong_credentials_guesser ON wrong_credentials (guesser, failed_at);
CREATE INDEX wrong_credentials_age ON wrong_credentials (failed_at);

-- The last lock of a number, over or not. `locks` in a row: each lasts twice as long as the one before. `recorded` once
-- alert.verificationLocked is committed, or there is no certificate that it could be about.
CREATE TABLE verification_locks (
    number_fingerprint bytea PRIMARY KEY,
    attempts integer NOT NULL CHECK (attempts > 0),
    locks integer NOT NULL DEFAULT 1 CHECK (locks > 0),
    since timestamptz NOT NULL,
    channel text NOT NULL, -- of the last attempt
    locked_at timestamptz NOT NULL,
    locked_until timestamptz NOT NULL,
    recorded boolean NOT NULL DEFAULT false
);
CREATE INDEX verification_locks_unrecorded ON verification_locks (locked_at) WHERE NOT recorded;
CREATE INDEX verification_locks_over ON verification_locks (locked_until);

-- Operations --------------------------------------------------------------------------------------------------------

-- The policy by which the API that started last decides; commands that decide in a process of their own read it.
CREATE TABLE service_policy (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only), -- there is one row at most
    policy jsonb NOT NULL,
    recorded_at timestamptz NOT NULL
);

-- Violations of invariants that were reported, so that each is reported once while it stands.
CREATE TABLE known_violations (
    violation text PRIMARY KEY, -- invariant, rule, subject and what tells several of one subject apart
    last_seen timestamptz NOT NULL
);

-- Retirements that operations asked for, of a batch or of one certificate. `reached` is the last certificate that was
-- looked at, so that one goes on after a crash.
CREATE TABLE operations (
    operation_id uuid PRIMARY KEY,
    batch_id uuid REFERENCES batches,
    certificate_id uuid REFERENCES certificates,
    reason text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    total integer NOT NULL CHECK (total >= 0),
    done integer NOT NULL DEFAULT 0 CHECK (done BETWEEN 0 AND total),
    retired integer NOT NULL DEFAULT 0,
    blocked integer NOT NULL DEFAULT 0,
    reached uuid,
    finished_at timestamptz,
    CHECK ((batch_id IS NULL) <> (certificate_id IS NULL))
);
CREATE INDEX operations_unfinished ON operations (requested_at) WHERE finished_at IS NULL;

-- Roles -------------------------------------------------------------------------------------------------------------

-- Three roles: the owner, who runs this and alone changes tables; the service, which cannot change what is evidence;
-- and whoever only reads. Where they are missing, the owner must be allowed to make roles.
DO $$
    DECLARE
        role_name text;
    BEGIN
        FOREACH role_name IN ARRAY ARRAY['giftcert_service', 'giftcert_read_only'] LOOP
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                BEGIN
                    EXECUTE format('CREATE ROLE %I', role_name);
                EXCEPTION WHEN duplicate_object OR unique_violation THEN
                    NULL; -- the migration of another database of this server was first
                END;
            END IF;
        END LOOP;
    END
$$;

-- The service makes and drops days of ingest's tables, and nothing else that takes an owner. Days are dropped after
-- their retention alone: the service may not take a record out of `inbox` otherwise.
CREATE FUNCTION make_days(parent text, first_day date, days integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
    DECLARE
        day date;
        child text;
        is_early boolean;
    BEGIN
        PERFORM lock_days(parent);
        FOR day IN SELECT first_day + nth FROM generate_series(0, days - 1) AS nth LOOP
            child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
            CONTINUE WHEN to_regclass('public.' || child) IS NOT NULL;
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE received_on = %L)', parent || '_default', day)
                INTO is_early;
            IF is_early THEN -- locked, as ingest may be writing more of them
                EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent);
            END IF;
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', child, parent);
            -- PostgreSQL would refuse the day for ever while its rows lie in the default partition.
            EXECUTE format('WITH early AS (DELETE FROM %I WHERE received_on = %L RETURNING *)
                INSERT INTO %I SELECT * FROM early', parent || '_default', day, child);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                parent, child, day, day + 1);
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %I FROM giftcert_service', child);
        END LOOP;
    END
$$;

-- Returns the names of the days, and that of the default partition if any of its rows were so old.
CREATE FUNCTION drop_days(parent text, first_kept date) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
    DECLARE
        child text;
        dropped bigint;
        gone text[] := '{}';
    BEGIN
        PERFORM lock_days(parent);
        FOR child IN
            SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = ('public.' || parent)::regclass AND relname <> parent || '_default'
                AND relname < format('%s_%s', parent, to_char(first_kept, 'YYYYMMDD'))
            ORDER BY relname
        LOOP
            EXECUTE format('DROP TABLE %I', child);
            gone := gone || child;
        END LOOP;
        EXECUTE format('DELETE FROM %I WHERE received_on < %L', parent || '_default', first_kept);
        GET DIAGNOSTICS dropped = ROW_COUNT;
        RETURN CASE WHEN dropped > 0 THEN gone || (parent || '_default') ELSE gone END;
    END
$$;

-- Nobody else makes or drops days until the transaction ends. The service cannot call it, nor name another table.
CREATE FUNCTION lock_days(parent text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
    BEGIN
        IF parent NOT IN ('unmatched_payments', 'inbox') THEN
            RAISE insufficient_privilege USING MESSAGE = format('%s is not kept in days', parent);
        END IF;
        PERFORM pg_advisory_xact_lock(7310592);
    END
$$;

REVOKE ALL ON FUNCTION make_days, drop_days, lock_days FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_days, drop_days TO giftcert_service;

-- Later tables are as these: whoever makes one that is evidence takes the rights to change it away again, as here.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO giftcert_service;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO giftcert_service;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO giftcert_read_only;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO giftcert_read_only;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO giftcert_service;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO giftcert_service;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO giftcert_read_only;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO giftcert_read_only;
REVOKE UPDATE, DELETE ON events, disclosures, audit_links, inbox, inbox_default FROM giftcert_service;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM giftcert_service;

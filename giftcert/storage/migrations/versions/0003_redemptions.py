"""What certificates pay for."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# One row per redemption. Those asked for over HTTP are known by caller and key for ever; what payments alone tell of
# has neither. `state` is NULL until the workflow has carried it out; a refused one leaves no row.
_REDEMPTIONS = """
    CREATE TABLE redemptions (
        certificate_id uuid NOT NULL REFERENCES certificates,
        redemption_id text COLLATE "C" NOT NULL, -- ours are UUIDv7; payments may name others
        caller text COLLATE "C",
        idempotency_key text COLLATE "C" CHECK (length(idempotency_key) BETWEEN 1 AND 64),
        parameters bytea, -- SHA-256 of the call's parameters, with the certificate's id for its number and CVC
        unanswered integer NOT NULL DEFAULT 0 CHECK (unanswered >= 0), -- attempts whose outcome nobody knows yet
        channel text,
        order_id text NOT NULL,
        amount bigint CHECK (amount > 0), -- asked for
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        state text CHECK (state IN ('authorized', 'captured', 'voided', 'lapsed')),
        payment_id text,
        held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
        spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
        restored bigint NOT NULL DEFAULT 0 CHECK (restored BETWEEN 0 AND spent),
        expires_at timestamptz,
        updated_at timestamptz,
        PRIMARY KEY (certificate_id, redemption_id),
        UNIQUE (caller, idempotency_key),
        CHECK (num_nulls(caller, idempotency_key, parameters, channel, amount) = 0
            OR (caller IS NULL AND idempotency_key IS NULL AND state IS NOT NULL)),
        CHECK ((state IS NOT DISTINCT FROM 'authorized') = (held > 0))
    )
"""
_ASKED_FOR = """
    CREATE UNIQUE INDEX redemptions_asked_for ON redemptions (redemption_id) WHERE caller IS NOT NULL
"""


def upgrade() -> None:
    for statement in (_REDEMPTIONS, _ASKED_FOR):
        op.get_bind().exec_driver_sql(statement)

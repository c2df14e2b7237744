"""Guesses at numbers and CVCs."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A row per check that failed, whether the number exists or not: else the time of the answer would tell.
_WRONG = """
    CREATE TABLE wrong_credentials (
        number_fingerprint bytea NOT NULL,
        caller text NOT NULL,
        failed_at timestamptz NOT NULL
    )
"""
_BY_NUMBER = "CREATE INDEX wrong_credentials_number ON wrong_credentials (number_fingerprint, failed_at)"
_BY_CALLER = "CREATE INDEX wrong_credentials_caller ON wrong_credentials (caller, failed_at)"
_BY_AGE = "CREATE INDEX wrong_credentials_age ON wrong_credentials (failed_at)"
# The last lock of a number, over or not; `told` once alert.verificationLocked is committed, or nobody has to be told.
_LOCKS = """
    CREATE TABLE verification_locks (
        number_fingerprint bytea PRIMARY KEY,
        attempts integer NOT NULL CHECK (attempts > 0),
        since timestamptz NOT NULL,
        channel text NOT NULL, -- of the last attempt
        locked_at timestamptz NOT NULL,
        locked_until timestamptz NOT NULL,
        told boolean NOT NULL DEFAULT false
    )
"""
_UNTOLD = "CREATE INDEX verification_locks_untold ON verification_locks (locked_at) WHERE NOT told"
_OVER = "CREATE INDEX verification_locks_over ON verification_locks (locked_until)"


def upgrade() -> None:
    for statement in (_WRONG, _BY_NUMBER, _BY_CALLER, _BY_AGE, _LOCKS, _UNTOLD, _OVER):
        op.get_bind().exec_driver_sql(statement)

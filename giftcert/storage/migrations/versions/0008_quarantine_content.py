"""Records in quarantine are told apart by what they hold: a topic made anew has other records at the same places."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = """
    ALTER TABLE quarantine
        ADD COLUMN quarantine_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        ADD COLUMN fingerprint bytea NOT NULL DEFAULT '' -- of key and value, by the keyring; '' where it is older
"""
_KEY = """
    ALTER TABLE quarantine DROP CONSTRAINT quarantine_pkey,
        ADD PRIMARY KEY (topic, partition, record_offset, fingerprint)
"""


def upgrade() -> None:
    for statement in (_COLUMNS, _KEY):
        op.get_bind().exec_driver_sql(statement)

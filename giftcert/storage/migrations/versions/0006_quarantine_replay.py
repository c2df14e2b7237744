"""What a replay from quarantine needs: the record's own time, and which order's messages wait for it."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COLUMNS = """
    ALTER TABLE quarantine
        ADD COLUMN written_at timestamptz,
        ADD COLUMN order_digest bytea -- SHA-256 of the order id, where the order's messages may have to wait
"""
_INDEX = """
    CREATE INDEX quarantine_holds_up ON quarantine (order_digest)
    WHERE order_digest IS NOT NULL AND replayed_at IS NULL
"""


def upgrade() -> None:
    for statement in (_COLUMNS, _INDEX):
        op.get_bind().exec_driver_sql(statement)

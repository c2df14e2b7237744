"""What persons said of refunds that named no line."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLE = """
    CREATE TABLE refund_shares (
        order_id text NOT NULL,
        refund_id text NOT NULL,
        line_id text NOT NULL,
        amount bigint NOT NULL CHECK (amount >= 0), -- 0: the refund does not mean this line
        certificate_id uuid NOT NULL, -- whose case it was
        decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (order_id, refund_id, line_id)
    )
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_TABLE)

"""A refund case is found by the events that tell of it."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEX = """
    CREATE INDEX events_refund_case ON events ((payload ->> 'refundCaseId')) WHERE payload ? 'refundCaseId'
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_INDEX)

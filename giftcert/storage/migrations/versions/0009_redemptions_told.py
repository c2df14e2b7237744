"""Redemptions that payments alone tell of are found by their id."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TOLD = "CREATE INDEX redemptions_told ON redemptions (redemption_id) WHERE caller IS NULL"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_TOLD)

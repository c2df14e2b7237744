"""The policy by which the running service decides, for commands that decide in a process of their own."""

from alembic import op

revision = "0002_service_policy"
down_revision = "0001_baseline"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(
        """
        CREATE TABLE service_policy (
            is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only), -- there is one row at most
            policy jsonb NOT NULL,
            recorded_at timestamptz NOT NULL -- when the API that uses it started
        )
        """
    )

"""Violations of invariants that were told, so that each is told once while it stands."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLE = """
    CREATE TABLE known_violations (
        violation text PRIMARY KEY, -- invariant, rule, subject and what tells several of one subject apart
        first_seen timestamptz NOT NULL,
        last_seen timestamptz NOT NULL
    )
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_TABLE)

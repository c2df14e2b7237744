"""A message that contradicts an earlier one is kept and told once, however often it is sent again."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMN = (
    "ALTER TABLE quarantine ADD COLUMN said bytea -- SHA-256 of identity and content, of a contradiction only"
)
_INDEX = "CREATE UNIQUE INDEX quarantine_said ON quarantine (said) WHERE said IS NOT NULL"


def upgrade() -> None:
    for statement in (_COLUMN, _INDEX):
        op.get_bind().exec_driver_sql(statement)

"""The first tables, as 0004_baseline.sql says them."""

import re
from pathlib import Path

from alembic import op

revision = "0004_baseline"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in re.split(r";\s*$", script, flags=re.MULTILINE):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)

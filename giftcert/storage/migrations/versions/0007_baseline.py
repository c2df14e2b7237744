"""The first tables, as the SQL beside this file says them."""

import re
from pathlib import Path

from alembic import op

revision = "0007_baseline"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in re.split(r";\n(?! )", script):  # a function's own statements are indented
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)

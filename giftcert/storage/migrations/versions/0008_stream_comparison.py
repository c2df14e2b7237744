"""Which stream the database belongs to, as the SQL beside this file says it."""

import re
from pathlib import Path

from alembic import op

revision = "0008_stream_comparison"
down_revision = "0007_baseline"
branch_labels = None
depends_on = None


def upgrade() -> None:
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in re.split(r";\n(?! )", script):  # a function's own statements are indented
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)

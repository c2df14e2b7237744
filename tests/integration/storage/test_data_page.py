"""``docs/data.md`` says of every table how long it is kept, and names settings that there are."""

import re
from pathlib import Path

import pytest

from giftcert.settings import Settings
from tests.integration.storage.pool_rows import Tables

pytestmark = pytest.mark.integration
PAGE = Path(__file__).resolve().parents[3] / "docs" / "data.md"
_TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND relname <> 'alembic_version' ORDER BY 1
"""


async def test_every_table_has_its_line_and_no_other(tables: Tables) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Tables")[2].partition("## Other stores")[0]
    described = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(described) == [row["relname"] for row in await tables.rows(_TABLES)]


def test_the_retention_that_it_names_is_the_default_of_a_setting() -> None:
    named = set(re.findall(r"`GIFTCERT_(\w+)`, (\d+) days", PAGE.read_text(encoding="utf-8")))
    defaults = Settings(_env_file=None)
    assert named
    assert {name: int(days) for name, days in named} == {
        name: getattr(defaults, name.lower()).days for name, _ in named
    }

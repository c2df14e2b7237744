"""The list of what the migrations make goes with them; whether it is exact, a real database says."""

import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from giftcert.storage.migrate import MIGRATIONS
from giftcert.storage.schema_objects import expected_objects, known_revisions

WRITE_ANEW = "run: python -m specs.generator.schema_objects"
MADE = re.compile(
    r"^\s*CREATE (?:OR REPLACE )?(?:UNIQUE )?(TABLE|INDEX|FUNCTION|SEQUENCE) "
    r"(?:CONCURRENTLY )?(?:IF NOT EXISTS )?(\w+)",
    re.MULTILINE,
)


def made() -> list[tuple[str, str]]:
    sources = [*MIGRATIONS.glob("versions/*.sql"), *MIGRATIONS.glob("versions/*.py")]
    return [found for path in sorted(sources) for found in MADE.findall(Path(path).read_text("utf-8"))]


@pytest.mark.parametrize(("kind", "name"), made())
def test_what_a_migration_makes_is_on_the_list(kind: str, name: str) -> None:
    names = [one.partition("(")[0] for one in expected_objects()]
    assert f"{kind.lower()} {name}" in names, WRITE_ANEW


def test_the_files_of_migrations_are_named_after_their_revisions() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(configuration)
    assert [one.revision for one in script.walk_revisions()][::-1] == known_revisions()
    assert script.get_heads() == [known_revisions()[-1]]

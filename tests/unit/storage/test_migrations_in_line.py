from alembic.script import ScriptDirectory

from giftcert.storage.migrate import MIGRATIONS


def test_each_migration_follows_another_one() -> None:
    """Two that were made at the same time from the same one would leave it open which comes first."""
    heads = ScriptDirectory(str(MIGRATIONS)).get_heads()
    assert len(heads) == 1, f"let one of {heads} follow the other"

"""The plan of every statement of the product on a database of a year, as it is stored in ``specs/plans``."""

from pathlib import Path

import asyncpg
import pytest

from benchmarks.plans import explain, sources, statistics
from tests.conftest import ServerAddresses
from tests.shared_servers import as_owner

pytestmark = pytest.mark.integration
ANEW = "python -m benchmarks.plans explain, or record TESTS where it is put together as it is sent"
NOT_PLANNED = {
    "giftcert/storage/recovery.py": "joins temporary tables of `giftcert recover`, which runs alone",
    "giftcert/storage/schema_objects.py": "reads the catalogs of PostgreSQL",
}


def test_every_statement_of_the_product_has_a_stored_plan() -> None:
    stored = [statement for one in explain.stored().values() for statement in one]
    missing = sources.unstored(stored)
    assert {module: texts for module, texts in missing.items() if module not in NOT_PLANNED} == {}, ANEW


async def test_plans_are_as_stored(fresh_database_url: str, server: ServerAddresses) -> None:
    address = as_owner(fresh_database_url)
    owner = await asyncpg.connect(address)
    data = Path(server("postgres")["state"]) / "postgres" / "data"
    try:
        await statistics.impersonate(owner, statistics.read(), data)
    finally:
        await owner.close()
    stored = explain.stored()
    made = await explain.plans_of(address, stored)
    for module, plans in stored.items():
        assert made[module] == plans, f"{explain.file_of(module).name}: python -m benchmarks.plans explain"

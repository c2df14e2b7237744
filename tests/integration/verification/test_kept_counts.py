"""The counts that are kept of the pool are those of its certificates, whatever happened to them."""

from datetime import UTC, datetime

import pytest

from giftcert.storage.pool_changes import PoolChangeRepository
from tests.integration.verification.conftest import World

pytestmark = pytest.mark.integration


async def test_1_a_count_that_was_changed_is_named(world: World) -> None:
    await world.spoil("UPDATE pool_changes SET certificates = certificates + 1 WHERE was IS NULL")
    [violation] = (await world.verify()).violations
    assert (violation.rule, violation.subject, violation.about) == (
        "keptCountDiffers",
        "GC-5000",
        "available",
    )


async def test_what_was_issued_is_counted_as_sold(world: World) -> None:
    async with world.database.transaction() as connection:
        await PoolChangeRepository(connection).fold(datetime.now(UTC))
    issued = await world.value("SELECT count(*) FROM events WHERE event_type = 'issue.completed'")
    assert await world.value("SELECT sum(sold)::bigint FROM pool_sales") == issued > 0
    assert (await world.verify()).hold

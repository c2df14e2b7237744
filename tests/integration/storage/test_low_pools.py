"""``alert.poolLow`` once until the pool has recovered, and pools that are filled up by themselves."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client

from activities.maintenance import MaintenanceActivities
from giftcert.domain.products import Product
from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from tests.integration.storage.pool_rows import GIFT, Tables

pytestmark = pytest.mark.integration
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keyring.json")


@pytest.fixture
def watch(tables: Tables, keyring: Keyring) -> Callable[..., MaintenanceActivities]:
    def make(**changes: Any) -> MaintenanceActivities:
        settings = Settings(pool_low_threshold=9, **changes, _env_file=None)
        lifecycle = Lifecycle(
            tables.database, settings.policy, keyring, web_url=settings.workflow_url, build="tests"
        )
        no_client = cast("Client", None)  # none of these signals a workflow
        return MaintenanceActivities(tables.database, settings, lifecycle, no_client, lambda: NOON)

    return make


async def alerts(tables: Tables) -> list[dict[str, Any]]:
    rows = await tables.rows("SELECT * FROM events WHERE event_type = 'alert.poolLow' ORDER BY event_id")
    assert all(row["stream_key"] == row["product_id"] for row in rows)
    return [row["payload"] for row in rows]


async def test_a_pool_is_low_once_until_it_has_recovered(
    tables: Tables, watch: Callable[..., MaintenanceActivities]
) -> None:
    watched = watch()
    await tables.fill(9)
    assert await watched.watch_pool() == 0
    await tables.reserve(1)
    assert [await watched.watch_pool() for _ in range(2)] == [1, 0]
    await tables.fill(2)  # 10: above the threshold, not yet a fifth above it
    await tables.reserve(2)
    assert await watched.watch_pool() == 0
    await tables.fill(3)  # 11
    assert await watched.watch_pool() == 0
    await tables.reserve(3)
    assert await watched.watch_pool() == 1
    assert [(one["available"], one["threshold"]) for one in await alerts(tables)] == [(8, 9), (8, 9)]


async def test_the_alert_tells_when_the_pool_is_empty_at_the_rate_of_the_last_day(
    tables: Tables, watch: Callable[..., MaintenanceActivities]
) -> None:
    await tables.fill(8)
    for hour in ("2026-11-22 10:00Z", "2026-11-22 18:00Z", "2026-11-23 11:00Z"):
        await tables.run(f"INSERT INTO pool_sales VALUES ('GC-5000', '{hour}', 6)")  # noqa: S608
    assert await watch().watch_pool() == 1
    [alert] = await alerts(tables)
    assert alert == {
        "available": 8,
        "threshold": 9,
        "sold": 12,
        "soldSince": "2026-11-22T18:00:00Z",
        "emptyAt": "2026-11-24T00:00:00Z",
        "replenishedTo": None,
    }


@pytest.mark.parametrize(("own", "reported"), [(0, 0), (4, 0), (6, 1), (None, 1)])
async def test_a_product_may_have_a_threshold_of_its_own(
    tables: Tables, watch: Callable[..., MaintenanceActivities], own: int | None, reported: int
) -> None:
    await tables.fill(5, replace(GIFT, low_threshold=own))
    assert await watch().watch_pool() == reported


async def test_a_low_pool_is_filled_up_once_where_that_is_wanted(
    tables: Tables, keyring: Keyring, watch: Callable[..., MaintenanceActivities]
) -> None:
    await tables.fill(8, keyring=keyring)
    watched = watch(pool_replenish_to=20)
    assert await watched.watch_pool() == 1
    made = await asyncio.gather(*(watched.replenish_pool() for _ in range(3)))
    assert sorted(made) == [0, 0, 12]
    batches = await tables.rows("SELECT source, quantity FROM batches ORDER BY created_at")
    assert [(one["source"], one["quantity"]) for one in batches] == [("generate", 8), ("replenish", 12)]
    assert (await alerts(tables))[0]["replenishedTo"] == 20
    assert await watched.watch_pool() == await watched.replenish_pool() == 0


@pytest.mark.parametrize(
    ("setting", "product", "made"),
    [(None, GIFT, 0), (20, replace(GIFT, replenish_to=0), 0), (None, replace(GIFT, replenish_to=10), 2)],
)
async def test_a_product_says_itself_whether_it_is_filled_up(
    tables: Tables,
    keyring: Keyring,
    watch: Callable[..., MaintenanceActivities],
    setting: int | None,
    product: Product,
    made: int,
) -> None:
    await tables.fill(8, product, keyring)
    watched = watch(pool_replenish_to=setting)
    await watched.watch_pool()
    assert await watched.replenish_pool() == made

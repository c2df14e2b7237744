"""The API records the policy by which it decides; commands decide by it too."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from giftcert.storage.service_policy import recorded_policy
from tests.integration.api.api_client import Stock, open_api, settings_for
from tests.integration.api.sales import open_stock
from tests.waiting import until

pytestmark = pytest.mark.integration


def limit_is(stock: Stock, limit: int | None) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        async with stock.database.connection() as connection:
            policy = await recorded_policy(connection)
        return policy is not None and policy.refund_four_eyes_over == limit

    return is_so


async def test_the_policy_of_the_api_that_started_last_is_recorded(
    fresh_database_url: str, tmp_path: Path
) -> None:
    chosen = {
        "refund_four_eyes_over": 7,
        "unpaid_after_order": timedelta(hours=5),
        "direct_spend_channels": ("pos",),
    }
    settings = settings_for(fresh_database_url, tmp_path, **chosen)
    async with open_stock(settings) as stock:
        async with open_api(settings):
            await until(limit_is(stock, 7))
        async with stock.database.connection() as connection:
            assert await recorded_policy(connection) == settings.policy
        async with open_api(settings_for(fresh_database_url, tmp_path)):
            await until(limit_is(stock, None))
        assert await stock.rows("SELECT count(*) AS rows FROM service_policy") == [{"rows": 1}]


async def test_an_api_that_starts_before_the_database_records_its_policy_later(
    fresh_database_url: str, tmp_path: Path
) -> None:
    settings = settings_for(fresh_database_url, tmp_path, refund_four_eyes_over=7)
    async with open_stock(settings) as stock:
        await stock.run_as_owner("ALTER TABLE service_policy RENAME TO not_migrated_yet")
        async with open_api(settings) as api:
            assert (await api.next()).status_code != 503
            await stock.run_as_owner("ALTER TABLE not_migrated_yet RENAME TO service_policy")
            await until(limit_is(stock, 7))

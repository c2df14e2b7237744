"""``GET /pool``: counts that are kept, and when the pool will be empty."""

from datetime import UTC, datetime, timedelta

import pytest

from giftcert.storage.pool_changes import PoolChangeRepository
from tests.integration.api.api_client import Api, Stock
from tests.integration.api.refund_desk import Desk
from tests.integration.api.sales import orders_of

pytestmark = pytest.mark.integration


async def test_the_pool_tells_what_is_there_and_when_it_will_be_empty(api: Api, stock: Stock) -> None:
    desk = Desk(api, stock, orders_of(stock))
    await desk.sell()
    await stock.fill(9)
    await api.next()
    async with stock.database.transaction() as connection:
        assert await PoolChangeRepository(connection).fold(datetime.now(UTC)) > 0
    await stock.fill(2)

    [count] = (await api.as_role("ops", "/pool")).json()
    assert count["statuses"] == {"available": 10, "reserved": 1, "issued": 1}
    assert (count["available"], count["sold"], count["lowThreshold"]) == (10, 1, 1_000)
    left = datetime.fromisoformat(count["emptyAt"]) - datetime.now(UTC)
    assert timedelta(hours=9) < left <= timedelta(hours=10)  # one an hour


async def test_a_pool_that_sold_nothing_lately_has_no_end_in_sight(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    [count] = (await api.as_role("ops", "/pool")).json()
    assert (count["sold"], count["soldSince"], count["emptyAt"]) == (0, None, None)

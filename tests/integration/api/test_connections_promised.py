"""Connections of one API: as many as its setting says, whatever is asked at once."""

import asyncio

import pytest

from giftcert.settings import Settings
from tests.integration.api.api_client import Stock, open_api

pytestmark = pytest.mark.integration
PROMISED = 3
_OPENED = """
    SELECT count(*) AS opened FROM pg_stat_activity
    WHERE datname = current_database() AND application_name IN ('giftcert-api', 'giftcert-claims')
"""


async def test_an_api_opens_no_more_connections_than_its_setting_promises(
    stock: Stock, settings: Settings
) -> None:
    await stock.fill(40)
    few = settings.model_copy(update={"database_pool_size": PROMISED})
    async with open_api(few) as api:
        # As many as may wait at once: claims for theirs, all else for what is left of them.
        calls = [api.next() for _ in range(20)] + [api.as_role("ops", "/pool") for _ in range(8)]
        answers = await asyncio.gather(*calls)
        assert {one.status_code for one in answers} == {200}
        [row] = await stock.rows(_OPENED)
    assert row["opened"] == PROMISED

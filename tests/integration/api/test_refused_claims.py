import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock, open_api

pytestmark = pytest.mark.integration


async def published(stock: Stock) -> list[dict[str, Any]]:
    return [event for event in await stock.events() if event["event_type"] == "issue.blocked"]


async def test_the_first_refusal_is_told_at_once(api: Api, stock: Stock) -> None:
    assert (await api.next()).status_code == 409
    [event] = await published(stock)
    assert (event["stream_key"], event["channel"], event["product_id"]) == ("GC-5000", "im", "GC-5000")
    assert event["payload"]["attempts"] == 1
    assert event["payload"]["firstAt"] == event["payload"]["lastAt"]


async def test_the_attempts_told_add_up_to_the_refusals_answered(api: Api, stock: Stock) -> None:
    began = datetime.now(UTC)
    replies = await asyncio.gather(
        *(api.next() for _ in range(100)), *(api.next(channel="pos") for _ in range(50))
    )
    assert {reply.status_code for reply in replies} == {409}
    while sum(event["payload"]["attempts"] for event in await published(stock)) < 150:  # noqa: ASYNC110 - told later
        await asyncio.sleep(0.01)
    events = await published(stock)
    seconds = (datetime.now(UTC) - began) / timedelta(seconds=1)
    for channel, attempts in (("im", 100), ("pos", 50)):
        of_channel = [event for event in events if event["channel"] == channel]
        assert sum(event["payload"]["attempts"] for event in of_channel) == attempts
        assert len(of_channel) <= 1 + seconds  # the first, then at most one a second


async def test_what_a_crash_left_unrecorded_is_told_at_the_next_start(
    settings: Settings, stock: Stock
) -> None:
    await stock.run(
        "INSERT INTO refused_claims VALUES ('GC-5000', 'im', 7, now(), now(), now() - interval '1 h')"
    )
    async with open_api(settings):
        while not (events := await published(stock)):  # noqa: ASYNC110 - told by the start
            await asyncio.sleep(0.01)
    assert [event["payload"]["attempts"] for event in events] == [7]


async def test_a_refusal_that_cannot_be_counted_is_not_answered(api: Api, stock: Stock) -> None:
    await stock.run_as_owner("ALTER TABLE refused_claims RENAME TO elsewhere")
    replies = await asyncio.gather(*(api.next() for _ in range(5)))
    assert {reply.status_code for reply in replies} == {500}
    await stock.run_as_owner("ALTER TABLE elsewhere RENAME TO refused_claims")
    assert (await api.next()).status_code == 409
    assert [event["payload"]["attempts"] for event in await published(stock)] == [1]

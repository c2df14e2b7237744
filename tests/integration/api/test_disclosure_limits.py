"""Disclosures of CVCs are counted where they are recorded, and a person hears what is unusual about them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from activities.maintenance import MaintenanceActivities
from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock, open_api
from tests.integration.api.sales import Till, orders_of

pytestmark = pytest.mark.integration
NOON = datetime(2026, 11, 23, 12, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def disclose(api: Api, certificate_id: str) -> httpx.Response:
    return await api.as_role("crm", f"/certificates/{certificate_id}/cvc", purpose="notification")


def limited(settings: Settings, **limits: str) -> Settings:
    return settings.model_copy(update=limits)


async def alerts(stock: Stock) -> list[dict[str, Any]]:
    return [one["payload"] for one in await stock.events() if one["event_type"] == "alert.disclosureUnusual"]


async def test_several_processes_count_one_certificate_together_and_a_restart_forgets_nothing(
    shop: Till, settings: Settings
) -> None:
    certificate_id = await shop.certificate_in("issued")
    strict = limited(settings, disclosures_per_certificate="2/hour")
    for _ in range(2):
        async with open_api(strict) as api:
            assert (await disclose(api, certificate_id)).status_code == 200
    async with open_api(strict) as api:
        refused = await disclose(api, certificate_id)
    assert refused.status_code == 429
    assert 3_500 < int(refused.headers["retry-after"]) <= 3_600
    assert len(await shop.stock.rows("SELECT 1 FROM disclosures")) == 2


async def test_refusals_count_too_so_that_nobody_fills_the_stream_with_them(
    shop: Till, settings: Settings
) -> None:
    certificate_id = await shop.certificate_in("ordered")
    async with open_api(limited(settings, disclosures_per_certificate="2/hour")) as api:
        replies = [await disclose(api, certificate_id) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [409, 409, 429]


async def test_requests_at_the_same_moment_stay_within_the_limit(shop: Till, settings: Settings) -> None:
    certificate_id = await shop.certificate_in("issued")
    async with open_api(limited(settings, disclosures_per_certificate="3/hour")) as api:
        replies = await asyncio.gather(*(disclose(api, certificate_id) for _ in range(10)))
    assert sorted(reply.status_code for reply in replies) == [200] * 3 + [429] * 7


async def test_several_processes_count_one_caller_together(shop: Till, settings: Settings) -> None:
    sold = [await shop.certificate_in("issued") for _ in range(3)]
    strict = limited(settings, disclosures_per_caller="2/hour")
    async with open_api(strict) as one, open_api(strict) as other:
        replies = [
            await disclose(api, certificate_id)
            for api, certificate_id in zip((one, one, other), sold, strict=True)
        ]
    assert [reply.status_code for reply in replies] == [200, 200, 429]


async def test_one_process_counts_what_it_gives_without_looking_each_time(
    shop: Till, settings: Settings
) -> None:
    sold = [await shop.certificate_in("issued") for _ in range(4)]
    async with open_api(limited(settings, disclosures_per_caller="2/hour")) as api:
        replies = await asyncio.gather(*(disclose(api, one) for one in sold))
        again = await disclose(api, sold[0])
    given = [reply.status_code for reply in replies].count(200)
    assert 2 <= given <= 4  # what is under way at the same moment may pass
    assert again.status_code == 429


async def test_a_caller_that_passes_a_limit_is_told_of_once_an_hour(shop: Till, settings: Settings) -> None:
    certificate_id = await shop.certificate_in("issued")
    strict = limited(settings, disclosures_per_certificate="1/hour")
    async with open_api(strict) as one, open_api(strict) as other:
        for api in (one, one, other):
            await disclose(api, certificate_id)
    [first] = await shop.stock.rows("SELECT disclosed_at FROM disclosures")
    [alert] = await alerts(shop.stock)
    assert alert == {
        "disclosedTo": "crm",
        "reason": "certificateLimit",
        "count": 1,
        "since": first["disclosed_at"].isoformat().replace("+00:00", "Z"),
        "usual": 1,
        "certificateId": certificate_id,
    }
    await shop.stock.run("UPDATE disclosure_hours SET hour = hour - interval '1 hour'")
    async with open_api(strict) as api:
        await disclose(api, certificate_id)
    assert len(await alerts(shop.stock)) == 2


# Far more than usual ------------------------------------------------------------------------------


async def look(stock: Stock, now: datetime, **others: Any) -> int:
    """Let maintenance look for what is unusual."""
    settings = stock.settings.model_copy(update={"disclosures_never_unusual": 10} | others)
    lifecycle = orders_of(stock).lifecycle
    nowhere = cast("Client", None)
    maintenance = MaintenanceActivities(stock.database, settings, lifecycle, nowhere, clock=lambda: now)
    return await maintenance.report_unusual_disclosures()


async def gave(stock: Stock, count: int, at: datetime, caller: str = "crm") -> None:
    """Record disclosures of a certificate at an instant."""
    [row] = await stock.rows("SELECT certificate_id::text AS id FROM certificates")
    await stock.run(
        """INSERT INTO disclosures (certificate_id, disclosed_to, purpose, disclosed_at, sequence)
            SELECT :id, :caller, 'notification', :at, coalesce(max(sequence), 0) + nth
            FROM generate_series(1, :count) AS nth, (SELECT max(sequence) AS sequence FROM disclosures) AS last
            GROUP BY nth""",
        id=row["id"],
        caller=caller,
        at=at,
        count=count,
    )


async def test_far_more_than_in_any_hour_of_the_week_before_is_told_once(stock: Stock) -> None:
    await stock.fill(1)
    await gave(stock, 20, NOON - timedelta(days=6))
    await gave(stock, 5, NOON - HOUR)
    await gave(stock, 60, NOON)
    assert await look(stock, NOON) == 0
    await gave(stock, 1, NOON + timedelta(minutes=1))
    assert [await look(stock, NOON + nth * timedelta(minutes=1)) for nth in (2, 3)] == [1, 0]
    [alert] = await alerts(stock)
    assert alert == {
        "disclosedTo": "crm",
        "reason": "farMoreThanUsual",
        "count": 61,
        "since": "2026-11-23T12:00:00Z",
        "usual": 20,
        "certificateId": None,
    }


async def test_what_was_usual_longer_than_a_week_ago_is_no_more(stock: Stock) -> None:
    await stock.fill(1)
    await gave(stock, 20, NOON - timedelta(days=7, hours=1))
    await gave(stock, 11, NOON)
    assert await look(stock, NOON) == 1


async def test_a_caller_that_nobody_knows_is_unusual_beyond_what_never_is(stock: Stock) -> None:
    await stock.fill(1)
    await gave(stock, 100, NOON - HOUR)
    await gave(stock, 10, NOON, "new")
    assert await look(stock, NOON, disclosures_never_unusual=100) == 0
    await gave(stock, 1, NOON, "new")
    assert await look(stock, NOON) == 2  # and the other one's hour, which has just ended
    assert {alert["disclosedTo"] for alert in await alerts(stock)} == {"crm", "new"}


async def test_an_hour_is_counted_to_its_end_however_late_anybody_looks(stock: Stock) -> None:
    await stock.fill(1)
    await gave(stock, 9, NOON)
    assert await look(stock, NOON) == 0
    await gave(stock, 30, NOON + timedelta(minutes=39))
    await gave(stock, 1, NOON + 5 * HOUR)
    await look(stock, NOON + 5 * HOUR)
    counted = await stock.rows("SELECT disclosed FROM disclosure_hours ORDER BY hour")
    assert [row["disclosed"] for row in counted] == [39, 1]


async def test_an_unknown_certificate_is_asked_for_without_an_alert(api: Api, stock: Stock) -> None:
    assert (await disclose(api, str(uuid4()))).status_code == 404
    assert await alerts(stock) == []

"""Support has number and CVC checked again after too many wrong ones."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock, open_api
from tests.integration.api.test_problems import assert_problem
from tests.integration.api.test_verification import guess_wrong, issued, published

pytestmark = pytest.mark.integration
CALLED = "the holder called and was asked who they are"


@pytest.fixture
def strict(settings: Settings) -> Settings:
    return settings.model_copy(update={"wrong_cvcs_per_certificate": "3/hour"})


async def unlock(
    api: Api, certificate_id: str, role: str = "support", key: str | None = None, reason: str = CALLED
) -> httpx.Response:
    path, headers = f"/certificates/{certificate_id}/unlock", api.headers(role, subject="anna", key=key)
    return await api.client.post(path, json={"reason": reason}, headers=headers)


async def acts(stock: Stock, certificate_id: str) -> list[dict[str, Any]]:
    events = await published(stock, certificate_id)
    return [one for one in events if one["event_type"] == "audit.operatorActed"]


async def test_a_number_is_checked_again_once_support_has_unlocked_it(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        reply = await unlock(api, certificate_id)
        assert (await api.verify(**shown)).json()["valid"]
        [act] = await acts(stock, certificate_id)
    assert reply.status_code == 200
    assert reply.json() == {
        "certificateId": certificate_id,
        "status": "issued",
        "refundState": "none",
        "balance": {"amount": 500_000, "currency": "RUB"},
        "held": {"amount": 0, "currency": "RUB"},
    }
    assert act["payload"] == {"who": "anna", "what": f"unlocked the number: {CALLED}"}


async def test_after_an_unlock_guesses_are_counted_anew(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        await unlock(api, certificate_id)
        await guess_wrong(api, shown, times=2)
        assert (await api.verify(**shown)).json()["valid"]
        await guess_wrong(api, shown)
        assert (await api.verify(**shown)).status_code == 429


async def test_where_nothing_is_locked_an_unlock_changes_and_tells_nothing(
    strict: Settings, stock: Stock
) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=2)
        assert (await unlock(api, certificate_id)).status_code == 200
        assert await acts(stock, certificate_id) == []


async def test_a_repeat_under_the_same_key_unlocks_once(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        await unlock(api, certificate_id, key="k")
        await guess_wrong(api, shown, times=3)
        again = await unlock(api, certificate_id, key="k")
        assert again.headers["idempotency-hit"] == "true"
        assert (await api.verify(**shown)).status_code == 429


async def test_a_number_in_the_pool_is_unlocked_like_any_other(strict: Settings, stock: Stock) -> None:
    await stock.fill(1)
    [row] = await stock.rows("SELECT certificate_id::text AS id FROM certificates")
    shown = await stock.credentials(row["id"])
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        await unlock(api, row["id"])
        assert (await api.verify(**shown)).json()["valid"]
        assert len(await acts(stock, row["id"])) == 1


async def test_only_support_unlocks_what_there_is(api: Api, stock: Stock) -> None:
    certificate_id, _ = await issued(stock)
    for role in ("channel", "crm", "ops"):
        assert_problem(await unlock(api, certificate_id, role), 403, "role-not-allowed")
    assert_problem(await unlock(api, str(uuid4())), 404, "unknown-certificate")


async def test_a_reason_with_a_number_in_it_goes_nowhere(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        reply = await unlock(api, certificate_id, reason=f"please unlock {shown['number']}")
    assert_problem(reply, 422, "invalid-request")
    assert shown["number"] not in reply.text

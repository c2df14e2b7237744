"""Whatever a person does over HTTP is told by audit.operatorActed, with who and why; and told once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import httpx
import pytest

from giftcert.settings import Settings
from tests.integration.api.api_client import open_api
from tests.integration.api.refund_desk import PRICE, Desk, Sold
from tests.integration.api.sales import open_stock, orders_of
from tests.integration.api.test_verification import guess_wrong
from tests.unit.test_acts_of_persons import HTTP_ACTS

pytestmark = pytest.mark.integration
WHY = "the holder called"
Act: TypeAlias = Callable[[Desk, Sold], Awaitable[httpx.Response]]


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    chosen: dict[str, Any] = {"direct_spend_channels": ("pos",), "direct_spend_cap": PRICE}
    settings = settings.model_copy(update=chosen)
    async with open_stock(settings) as stock, open_api(settings) as api:
        yield Desk(api, stock, orders_of(stock))


async def block(desk: Desk, sold: Sold) -> httpx.Response:
    return await desk.act(sold, "block", reason=WHY)


async def unblock(desk: Desk, sold: Sold) -> httpx.Response:
    headers = desk.api.headers("support", subject="another")
    path = f"/certificates/{sold.certificate_id}/block"
    await desk.api.client.post(path, json={"reason": WHY}, headers=headers)
    return await desk.act(sold, "unblock", reason=WHY)


async def unlock(desk: Desk, sold: Sold) -> httpx.Response:
    await guess_wrong(desk.api, await desk.stock.credentials(sold.certificate_id), times=5)
    return await desk.act(sold, "unlock", reason=WHY)


async def notify(desk: Desk, sold: Sold) -> httpx.Response:
    return await desk.act(sold, "notifications", role="crm")


async def retire(desk: Desk, sold: Sold) -> httpx.Response:
    headers = desk.api.headers("ops", subject="anna")
    body = {"certificateId": sold.certificate_id, "reason": WHY}
    return await desk.api.client.post("/pool/retire", json=body, headers=headers)


async def resolve(desk: Desk, _: Sold) -> httpx.Response:
    _, case = await desk.spent_and_refunded()
    return await desk.resolve(case, note=WHY)


ACTS: dict[str, Act] = {
    "/certificates/{certificateId}/block": block,
    "/certificates/{certificateId}/unblock": unblock,
    "/certificates/{certificateId}/unlock": unlock,
    "/certificates/{certificateId}/notifications": notify,
    "/pool/retire": retire,
    "/refunds/{refundCaseId}/resolution": resolve,
}


def test_each_act_of_the_list_is_done_here() -> None:
    assert ACTS.keys() == HTTP_ACTS


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_who_acted_and_why_is_told_once(desk: Desk, act: Act) -> None:
    reply = await act(desk, await desk.sell())
    assert reply.is_success, reply.text
    published: list[dict[str, Any]] = await desk.stock.rows(
        "SELECT payload FROM events WHERE event_type = 'audit.operatorActed' AND payload ->> 'who' = 'anna'"
    )
    assert len(published) == 1
    assert act is notify or WHY in published[0]["payload"]["what"]

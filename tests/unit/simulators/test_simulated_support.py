from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from simulators.service import Service
from simulators.support import NoSuchCaseError, Support


def case(number: int) -> dict[str, object]:
    return {
        "refundCaseId": f"case-{number}",
        "certificateId": f"c-{number}",
        "orderId": f"IM-{number}",
        "reason": "certificateRedeemed",
        "amount": {"amount": 1, "currency": "RUB"},
        "balance": {"amount": 1, "currency": "RUB"},
        "since": "2026-11-23T10:00:00Z",
        "allowedDecisions": ["approve", "reject"],
    }


def two_pages(request: httpx.Request) -> httpx.Response:
    first = "after" not in request.url.params
    page = {"items": [case(1), case(2)], "next": "2"} if first else {"items": [case(3)], "next": None}
    return httpx.Response(200, content=msgspec.json.encode(page))


@pytest.fixture
async def support() -> AsyncIterator[Support]:
    transport = httpx.MockTransport(two_pages)
    async with httpx.AsyncClient(transport=transport, base_url="http://unused") as client:
        yield Support(Service(client, "token"))


async def test_support_reads_every_page_of_what_waits(support: Support) -> None:
    assert [one.refund_case_id async for one in support.waiting()] == ["case-1", "case-2", "case-3"]


async def test_support_finds_the_case_of_a_certificate_or_says_that_there_is_none(support: Support) -> None:
    assert (await support.case_of("c-3")).refund_case_id == "case-3"
    with pytest.raises(NoSuchCaseError, match="c-4"):
        await support.case_of("c-4")

from typing import Any
from uuid import uuid4

import pytest

from giftcert.contracts.codec import encode_state
from giftcert.domain.events import RefundReason
from giftcert.domain.state import CertificateState, RefundCase, RefundState, Sale
from tests.integration.api.calling import OPEN, Api, Stock

pytestmark = pytest.mark.integration


async def test_support_sees_a_certificate_with_its_history(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    claim = (await api.next()).json()
    view = (await api.as_role("support", f"/certificates/{claim['certificateId']}")).json()
    assert view["status"] == "reserved"
    assert view["maskedNumber"] == claim["maskedNumber"]
    assert view["reservation"]["reservationId"] == claim["reservationId"]
    assert view["reservation"]["ended"] is False
    assert view["webUrl"].endswith(f"certificate-{claim['certificateId']}")
    [event] = view["history"]
    assert (event["eventType"], event["sequence"]) == ("issue.reserved", 1)
    assert event["payload"] == {
        "reservationId": claim["reservationId"],
        "reservedUntil": claim["reservedUntil"],
    }


async def test_history_is_read_on_from_a_sequence_number(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    claim = (await api.next()).json()
    await api.client.delete(f"/reservations/{claim['reservationId']}", headers=api.headers())
    path = f"/certificates/{claim['certificateId']}"
    view = (await api.as_role("support", path, historyAfter=1)).json()
    assert [event["sequence"] for event in view["history"]] == [2]


async def test_a_channel_sees_its_own_certificates_only(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    path = f"/certificates/{(await api.next()).json()['certificateId']}"
    own = await api.client.get(path, headers=api.headers(channels=["im"]))
    other = await api.client.get(path, headers=api.headers(channels=["pos"]))
    assert (own.status_code, other.status_code) == (200, 403)


async def test_an_unknown_certificate_is_not_found(api: Api) -> None:
    reply = await api.as_role("support", f"/certificates/{uuid4()}")
    assert (reply.status_code, reply.json()["type"]) == (404, "/problems/unknown-certificate")


@pytest.mark.made_up_events
async def test_certificates_are_found_by_every_criterion(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    claim = (await api.next()).json()
    certificate_id = claim["certificateId"]
    await stock.run(
        """UPDATE certificates SET status = 'issued', reservation_ended = true, order_id = 'IM-1', line_id = '1',
            customer_id = 'C-77', last_four = '4321' WHERE certificate_id = :id""",
        id=certificate_id,
    )
    await stock.run(
        """UPDATE events SET payload = payload || '{"refundId": "R-12"}' WHERE certificate_id = :id""",
        id=certificate_id,
    )
    await stock.run("UPDATE certificates SET last_four = '0000' WHERE last_four <> '4321'")
    for query in (
        {"orderId": "IM-1"},
        {"refundId": "R-12"},
        {"reservationId": claim["reservationId"]},
        {"customerId": "C-77"},
        {"lastFour": "4321"},
        {"orderId": "IM-1", "lastFour": "4321"},
    ):
        page = (await api.as_role("crm", "/certificates", **query)).json()
        assert [item["certificateId"] for item in page["items"]] == [certificate_id], query
        assert page["next"] is None
    empty = (await api.as_role("crm", "/certificates", orderId="IM-1", lastFour="9999")).json()
    assert empty == {"items": [], "next": None}


async def test_an_order_finds_the_certificates_that_it_once_named(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    await stock.run("INSERT INTO orders (order_id, version, snapshot) VALUES ('IM-9', 1, '{}')")
    await stock.run(
        "INSERT INTO order_certificates (order_id, certificate_id) SELECT 'IM-9', certificate_id FROM certificates"
    )
    page = (await api.as_role("support", "/certificates", orderId="IM-9")).json()
    assert len(page["items"]) == 1


async def test_a_search_is_paged(api: Api, stock: Stock) -> None:
    await stock.fill(5)
    await stock.run("UPDATE certificates SET last_four = '1111', order_id = 'IM-1'")
    seen: list[str] = []
    query: dict[str, Any] = {"lastFour": "1111", "limit": 2}
    while True:
        page = (await api.as_role("support", "/certificates", **query)).json()
        seen += [item["certificateId"] for item in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert len(seen) == len(set(seen)) == 5


async def test_a_search_needs_a_criterion_and_the_right_role(api: Api) -> None:
    assert (await api.as_role("support", "/certificates")).status_code == 422
    assert (await api.as_role("channel", "/certificates", orderId="IM-1")).status_code == 403


async def test_products_are_listed_with_nominal_or_bounds(api: Api) -> None:
    products = {product["id"]: product for product in (await api.as_role("ops", "/products")).json()}
    assert products["GC-5000"]["nominal"] == {"amount": 500_000, "currency": "RUB"}
    assert products["GC-5000"]["default"] is True
    assert products["GC-OPEN"]["nominal"] is None
    assert products["GC-OPEN"]["leastNominal"] == {"amount": OPEN.least_nominal, "currency": "RUB"}


async def test_operations_count_the_pool(api: Api, stock: Stock) -> None:
    await stock.fill(4)
    claim = (await api.next()).json()
    await api.next()
    await api.client.delete(f"/reservations/{claim['reservationId']}", headers=api.headers())
    [count] = (await api.as_role("ops", "/pool")).json()
    assert count == {
        "product": "GC-5000",
        "available": 3,
        "cooling": 1,
        "statuses": {"available": 3, "reserved": 1},
    }
    assert (await api.as_role("channel", "/pool")).status_code == 403


async def test_refunds_that_wait_are_listed_oldest_first(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    cases = ["01936f90-0000-7000-8000-000000000003", "01936f90-0000-7000-8000-000000000001"]
    for number, case_id in enumerate(cases):
        await pending_refund(stock, f"IM-{number}", case_id)
    page = (await api.as_role("support", "/refunds", state="pendingDetails", limit=1)).json()
    [first] = page["items"]
    assert first["refundCaseId"] == cases[1]
    assert first["reason"] == "amountMismatch"
    assert first["reasonText"]
    assert first["price"] == {"amount": 500_000, "currency": "RUB"}
    assert first["allowedDecisions"] == ["approve"]
    assert (first["approved"], first["agreed"]) == (None, None)
    last = (await api.as_role("support", "/refunds", after=page["next"])).json()
    assert [item["refundCaseId"] for item in last["items"]] == [cases[0]]
    assert last["next"] is None
    assert (await api.as_role("support", "/refunds", state="requested")).json()["items"] == []


async def pending_refund(stock: Stock, order_id: str, case_id: str) -> None:
    certificate_id = await stock.make("issued", order_id=order_id, line_id="1")
    case = RefundCase(
        refund_case_id=case_id,
        state=RefundState.PENDING_DETAILS,
        amount=100,
        reason=RefundReason.AMOUNT_MISMATCH,
    )
    sale = Sale(order_id=order_id, line_id="1", amount=500_000, cases=(case,))
    state = CertificateState(
        certificate_id=certificate_id, product="GC-5000", currency="RUB", nominal=500_000, sale=sale
    )
    await stock.run(
        """UPDATE certificates SET any_refund_state = 'pendingDetails', state = CAST(:state AS jsonb)
            WHERE certificate_id = :id""",
        state=encode_state(state),
        id=certificate_id,
    )

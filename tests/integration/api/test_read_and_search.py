from typing import Any
from uuid import uuid4

import pytest

from tests.integration.api.api_client import OPEN, Api, Stock
from tests.integration.api.sales import WORTH, Till, refunded

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
    assert (await api.as_role("support", path, historyAfter=2)).json()["history"] == []
    beyond = await api.as_role("support", path, historyAfter=3)
    assert (beyond.status_code, beyond.json()["errors"][0]["field"]) == (422, "historyAfter")


async def test_a_channel_sees_its_own_certificates_only(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    path = f"/certificates/{(await api.next()).json()['certificateId']}"
    own = await api.client.get(path, headers=api.headers(channels=["im"]))
    other = await api.client.get(path, headers=api.headers(channels=["pos"]))
    assert (own.status_code, other.status_code) == (200, 403)


async def test_an_unknown_certificate_is_not_found(api: Api) -> None:
    reply = await api.as_role("support", f"/certificates/{uuid4()}")
    assert (reply.status_code, reply.json()["type"]) == (404, "/problems/unknown-certificate")


async def test_a_survivor_s_search_finds_what_merged_clients_bought_at_any_remove(
    api: Api, stock: Stock
) -> None:
    await stock.fill(1)
    certificate_id = (await api.next()).json()["certificateId"]
    await stock.run(
        "UPDATE certificates SET customer_id = 'C-77' WHERE certificate_id = :id", id=certificate_id
    )
    await stock.run("""
        INSERT INTO clients (client_id, merged_into, occurred_at, event_id) VALUES ('C-77', 'C-80', now(), 'e-1'),
            ('C-80', 'C-81', now(), 'e-2'), ('C-81', NULL, now(), 'e-3'),
            ('C-1', 'C-2', now(), 'e-4'), ('C-2', 'C-1', now(), 'e-5')
    """)
    found = {
        client: len((await api.as_role("crm", "/certificates", customerId=client)).json()["items"])
        for client in ("C-77", "C-80", "C-81", "C-1", "C-9")
    }
    assert found == {"C-77": 1, "C-80": 1, "C-81": 1, "C-1": 0, "C-9": 0}


@pytest.mark.made_up_events
async def test_certificates_are_found_by_every_criterion(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    claim = (await api.next()).json()
    certificate_id = claim["certificateId"]
    await stock.run(
        """UPDATE certificates SET status = 'issued', reservation_ended = true, order_id = 'IM-1', line_key = 1,
            customer_id = 'C-77', last_four = '4321' WHERE certificate_id = :id""",
        id=certificate_id,
    )
    await stock.run_as_owner(
        """UPDATE events SET payload = payload || '{"refundId": "R-12"}' WHERE certificate_id = :id""",
        id=certificate_id,
    )
    await stock.run("UPDATE certificates SET last_four = '0000' WHERE last_four <> '4321'")
    await stock.names(certificate_id, "IM-1", line_id="2")
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
    [item] = (await api.as_role("crm", "/certificates", orderId="IM-1")).json()["items"]
    assert item["lineId"] == "2"


async def test_an_order_finds_the_certificates_that_it_once_named(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    [row] = await stock.rows("SELECT certificate_id::text AS id FROM certificates")
    await stock.names(row["id"], "IM-9")
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


@pytest.mark.parametrize("path", ["/certificates?orderId=IM-1&", "/refunds?"])
async def test_a_cursor_that_is_none_of_ours_is_named(api: Api, path: str) -> None:
    for cursor in (str(uuid4()), "next"):
        reply = await api.as_role("support", f"{path}after={cursor}")
        assert reply.status_code == 422
        assert [error["field"] for error in reply.json()["errors"]] == ["after"]


async def test_a_parameter_that_a_call_does_not_know_is_no_empty_list(api: Api) -> None:
    for path in ("/certificates?orderId=IM-1&status=issued", "/refunds?status=requested", "/pool?product=GC"):
        reply = await api.as_role("ops" if path.startswith("/pool") else "support", path)
        assert reply.status_code == 422
        assert [error["field"] for error in reply.json()["errors"]] == ["query"]


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
        "lowThreshold": 1_000,
        "sold": 0,
        "soldSince": None,
        "emptyAt": None,
    }
    assert (await api.as_role("channel", "/pool")).status_code == 403


async def test_refunds_that_wait_are_listed_oldest_first(shop: Till) -> None:
    api, orders = shop.api, []
    for _ in range(2):
        certificate_id = await shop.certificate_in("partiallyRedeemed")
        orders.append((await shop.row(certificate_id))["order_id"])
        await shop.orders.tell(refunded(orders[-1]))
    page = (await api.as_role("support", "/refunds", state="pendingDetails", limit=1)).json()
    [first] = page["items"]
    assert first["orderId"] == orders[0]
    assert first["reason"] == "certificateRedeemed"
    assert first["reasonText"]
    money = {name: first[name]["amount"] for name in ("amount", "price", "captured", "refunded", "balance")}
    assert money == {
        "amount": WORTH,
        "price": WORTH,
        "captured": WORTH,
        "refunded": WORTH,
        "balance": 400_000,
    }
    assert first["allowedDecisions"] == ["approve", "reject"]
    assert (first["approved"], first["agreed"], first["customerId"]) == (None, None, "C-1")
    last = (await api.as_role("support", "/refunds", after=page["next"])).json()
    assert [item["orderId"] for item in last["items"]] == [orders[1]]
    assert last["next"] is None
    assert (await api.as_role("support", "/refunds", state="requested")).json()["items"] == []

"""Support blocks a certificate, lifts the block, and has the client written to again."""

from uuid import uuid4

import pytest

from tests.integration.api.api_client import Api, Stock
from tests.integration.api.refund_desk import PRICE, Desk
from tests.integration.api.sales import orders_of
from tests.integration.api.test_problems import assert_problem

pytestmark = pytest.mark.integration
STOLEN = "reported stolen"


@pytest.fixture
def desk(api: Api, stock: Stock) -> Desk:
    return Desk(api, stock, orders_of(stock))


async def test_a_sold_certificate_is_blocked_and_unblocked(desk: Desk) -> None:
    sold = await desk.sell()
    blocked = await desk.act(sold, "block", reason=STOLEN)
    assert blocked.status_code == 200
    assert blocked.json() == {
        "certificateId": sold.certificate_id,
        "status": "blocked",
        "refundState": "none",
        "balance": {"amount": PRICE, "currency": "RUB"},
        "held": {"amount": 0, "currency": "RUB"},
    }
    assert (await desk.act(sold, "unblock", reason="found again")).json()["status"] == "issued"
    acts = [one for one in await desk.stock.events(sold.certificate_id) if "by" in one["payload"]]
    assert [(one["event_type"], one["payload"]) for one in acts] == [
        ("audit.blocked", {"reason": STOLEN, "by": "anna", "breakage": None}),
        ("audit.unblocked", {"reason": "found again", "by": "anna", "breakage": None}),
    ]


async def test_a_refund_that_waited_for_the_block_is_carried_out_when_it_is_lifted(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.act(sold, "block", reason=STOLEN)
    await desk.refund(sold)
    await desk.case_of(sold, "pendingDetails")
    lifted = (await desk.act(sold, "unblock", reason="found again")).json()
    assert (lifted["status"], lifted["refundState"], lifted["balance"]["amount"]) == (
        "refunded",
        "completed",
        0,
    )


@pytest.mark.parametrize(
    "reason",
    [
        "4539.5787.6362.1486",
        "4539 - 5787 - 6362 - 1486",
        "x4539578763621486y",
        "994539578763621486",
        "\uff14\uff15\uff13\uff19\uff15\uff17\uff18\uff17\uff16\uff13\uff16\uff12\uff11\uff14\uff18\uff16",
        "\u0664\u0665\u0663\u0669\u0665\u0667\u0668\u0667\u0666\u0663\u0666\u0662\u0661\u0664\u0668\u0666",
        "4539578763621486 654321",
        "her cvc is 654321... cvc: 654321",
        "anna\uff20example.com",
        "8-921-123-45-67",
    ],
)
async def test_a_reason_with_a_number_however_it_is_written_is_refused_and_told_nobody(
    desk: Desk, reason: str
) -> None:
    sold = await desk.sell()
    refused = await desk.act(sold, "block", reason=reason)
    assert_problem(refused, 422, "invalid-request")
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]
    assert reason not in refused.text
    assert await desk.published(sold, "audit.") == []


async def test_blocking_twice_is_told_once(desk: Desk) -> None:
    sold = await desk.sell()
    replies = [await desk.act(sold, "block", reason=STOLEN) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert await desk.published(sold, "audit.") == ["audit.blocked", "audit.operatorActed"]


async def test_a_finished_certificate_is_not_blocked(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.refund(sold)
    assert (await desk.row(sold))["status"] == "refunded"
    reply = await desk.act(sold, "block", reason=STOLEN)
    assert_problem(reply, 409, "status-not-allowed")
    assert reply.json()["certificateStatus"] == "refunded"


async def test_one_that_went_back_to_the_pool_is_blocked_with_all_that_is_known_of_it(desk: Desk) -> None:
    sold = await desk.sell(paid=False)
    await desk.cancel(sold)
    assert (await desk.act(sold, "block", reason=STOLEN)).json()["status"] == "blocked"
    [row] = await desk.stock.rows("SELECT state #>> '{past_sales,0,order_id}' AS order_id FROM certificates")
    assert row["order_id"] == sold.order_id
    assert (await desk.api.next()).status_code == 409
    assert (await desk.act(sold, "unblock", reason="found again")).json()["status"] == "available"
    assert (await desk.api.next()).status_code == 200


async def test_a_reserved_certificate_is_blocked(desk: Desk) -> None:
    await desk.stock.fill(1)
    claim = (await desk.api.next()).json()
    certificate_id = claim["certificateId"]
    assert (await desk.act(certificate_id, "block", reason=STOLEN)).json()["status"] == "blocked"
    [_, blocked, acted] = await desk.stock.events(certificate_id)
    assert (blocked["sequence"], blocked["event_type"], blocked["status"]) == (2, "audit.blocked", "blocked")
    assert blocked["payload"] == {"reason": STOLEN, "by": "anna", "breakage": None}
    assert acted["payload"] == {"who": "anna", "what": f"blocked the certificate: {STOLEN}"}
    await desk.api.client.delete(f"/reservations/{claim['reservationId']}", headers=desk.api.headers())
    assert (await desk.api.next()).status_code == 409
    unblocked = await desk.act(certificate_id, "unblock", reason="found again")
    assert unblocked.json()["status"] == "available"
    assert (await desk.api.next()).json()["certificateId"] == certificate_id


async def test_one_never_reserved_is_blocked_and_given_only_after_the_block_is_lifted(desk: Desk) -> None:
    await desk.stock.fill(1)
    [row] = await desk.stock.rows("SELECT certificate_id::text AS id FROM certificates")
    assert (await desk.act(row["id"], "block", reason=STOLEN)).json()["status"] == "blocked"
    assert (await desk.api.next()).status_code == 409
    assert (await desk.act(row["id"], "unblock", reason="found again")).json()["status"] == "available"
    assert (await desk.api.next()).status_code == 200
    assert [one["event_type"] for one in await desk.stock.events(row["id"])] == [
        *("audit.blocked", "audit.operatorActed", "audit.unblocked", "audit.operatorActed"),
        "issue.reserved",
    ]


async def test_a_block_counts_once_under_its_key(desk: Desk) -> None:
    acted = "audit.operatorActed"
    await desk.stock.fill(1)
    certificate_id = (await desk.api.next()).json()["certificateId"]
    await desk.act(certificate_id, "block", reason=STOLEN, key="k")
    await desk.act(certificate_id, "unblock", reason="found again")
    again = await desk.act(certificate_id, "block", reason=STOLEN, key="k")
    assert (again.json()["status"], again.headers["idempotency-hit"]) == ("blocked", "true")
    assert (await desk.act(certificate_id, "block", reason=STOLEN)).json()["status"] == "blocked"
    published = [one["event_type"] for one in await desk.stock.events(certificate_id)]
    assert published[1:] == ["audit.blocked", acted, "audit.unblocked", acted, "audit.blocked", acted]


async def test_the_client_is_written_to_again(desk: Desk) -> None:
    sold = await desk.sell()
    replies = [await desk.act(sold, "notifications", role="crm", key="k") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [202, 202]
    assert await desk.published(sold, "notification.") == 2 * ["notification.requested"]
    asked = [
        one["payload"] for one in await desk.stock.events(sold.certificate_id) if "who" in one["payload"]
    ]
    assert [one["who"] for one in asked] == ["anna"]


async def test_nobody_is_written_to_before_a_certificate_is_issued_or_after_it_ended(desk: Desk) -> None:
    sold = await desk.sell(paid=False)
    assert_problem(await desk.act(sold, "notifications"), 409, "status-not-allowed")
    await desk.pay(sold)
    await desk.refund(sold)
    assert (await desk.row(sold))["status"] == "refunded"
    assert_problem(await desk.act(sold, "notifications"), 409, "status-not-allowed")


async def test_acts_are_for_the_roles_and_certificates_that_there_are(desk: Desk) -> None:
    for what in ("block", "unblock"):
        for role in ("channel", "crm", "ops"):
            assert (await desk.act(str(uuid4()), what, role=role, reason=STOLEN)).status_code == 403
        assert_problem(await desk.act(str(uuid4()), what, reason=STOLEN), 404, "unknown-certificate")
        assert (await desk.act(str(uuid4()), what, reason="")).json()["errors"][0]["field"] == "reason"
    assert (await desk.act(str(uuid4()), "notifications", role="ops")).status_code == 403
    assert_problem(await desk.act(str(uuid4()), "notifications"), 404, "unknown-certificate")

"""Support blocks a certificate, lifts the block, and has the client written to again."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from giftcert.domain.messages import OrderCancelled
from giftcert.settings import Settings
from tests.integration.api.calling import Api, Stock, open_api
from tests.integration.api.refunding import PRICE, Desk
from tests.integration.api.selling import common, tell, until, with_own_namespace
from tests.integration.api.test_problems import assert_problem
from worker import running

pytestmark = pytest.mark.integration
STOLEN = "reported stolen"


@pytest.fixture
async def desk(settings: Settings, stock: Stock, temporal_address: str) -> AsyncIterator[Desk]:
    """With Temporal and a worker."""
    patient = settings.model_copy(update={"request_timeout": timedelta(seconds=30)})
    settings, client = await with_own_namespace(patient, temporal_address)
    async with open_api(settings) as api, running(settings):
        yield Desk(api, stock, client)


@pytest.fixture
def shelf(api: Api, stock: Stock) -> Desk:
    """Without Temporal: what no order ever named needs none."""
    return Desk(api, stock, client=None)  # type: ignore[arg-type] # nobody to tell


async def test_a_sold_certificate_is_blocked_and_unblocked_by_its_workflow(desk: Desk) -> None:
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
    handle = desk.client.get_workflow_handle(f"certificate-{sold.certificate_id}")
    known = await handle.query("state")
    assert known["blocked"] is False


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


async def test_blocking_twice_is_told_once(desk: Desk) -> None:
    sold = await desk.sell()
    replies = [await desk.act(sold, "block", reason=STOLEN) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert await desk.told(sold, "audit.") == ["audit.blocked"]


async def test_a_finished_certificate_is_not_blocked(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.refund(sold)
    await desk.until_status(sold, "refunded")
    reply = await desk.act(sold, "block", reason=STOLEN)
    assert_problem(reply, 409, "status-not-allowed")
    assert reply.json()["certificateStatus"] == "refunded"


async def test_one_that_went_back_to_the_pool_is_blocked_with_all_that_is_known_of_it(desk: Desk) -> None:
    sold = await desk.sell(paid=False)
    facts = {name: common(sold.order_id)[name] for name in ("cause", "occurred_at", "channel", "order_id")}
    cancelled = OrderCancelled(**facts, key="c-1", order_version=2, line_ids=None)
    await tell(desk.client, sold.certificate_id, cancelled)
    await desk.until_status(sold, "available")
    assert (await desk.act(sold, "block", reason=STOLEN)).json()["status"] == "blocked"
    [row] = await desk.stock.rows("SELECT state #>> '{past_sales,0,order_id}' AS order_id FROM certificates")
    assert row["order_id"] == sold.order_id
    assert (await desk.api.next()).status_code == 409
    assert (await desk.act(sold, "unblock", reason="found again")).json()["status"] == "available"
    assert (await desk.api.next()).status_code == 200


async def test_a_workflow_hears_that_its_batch_was_withdrawn(desk: Desk) -> None:
    sold = await desk.sell()
    handle = desk.client.get_workflow_handle(f"certificate-{sold.certificate_id}")
    [row] = await desk.stock.rows("SELECT batch_id::text AS id FROM batches")
    order = {"batchId": row["id"], "reason": STOLEN}
    withdrawn = await desk.api.client.post("/pool/retire", json=order, headers=desk.api.headers("ops"))
    assert withdrawn.json()["blocked"] == 1

    async def knows() -> bool:
        return bool((await handle.query("state"))["blocked"])

    await until(knows)
    assert (await desk.act(sold, "unblock", reason="found again")).json()["status"] == "issued"
    await desk.refund(sold)
    await desk.until_status(sold, "refunded")


async def test_a_reserved_certificate_is_blocked_without_a_workflow(shelf: Desk) -> None:
    await shelf.stock.fill(1)
    claim = (await shelf.api.next()).json()
    certificate_id = claim["certificateId"]
    assert (await shelf.act(certificate_id, "block", reason=STOLEN)).json()["status"] == "blocked"
    [_, blocked] = await shelf.stock.events(certificate_id)
    assert (blocked["sequence"], blocked["event_type"], blocked["status"]) == (2, "audit.blocked", "blocked")
    assert blocked["payload"] == {"reason": STOLEN, "by": "anna", "breakage": None}
    await shelf.api.client.delete(f"/reservations/{claim['reservationId']}", headers=shelf.api.headers())
    assert (await shelf.api.next()).status_code == 409
    unblocked = await shelf.act(certificate_id, "unblock", reason="found again")
    assert unblocked.json()["status"] == "available"
    assert (await shelf.api.next()).json()["certificateId"] == certificate_id


async def test_the_life_of_one_never_reserved_still_begins_with_its_reservation(shelf: Desk) -> None:
    await shelf.stock.fill(1)
    [row] = await shelf.stock.rows("SELECT certificate_id::text AS id FROM certificates")
    assert (await shelf.act(row["id"], "block", reason=STOLEN)).json()["status"] == "blocked"
    assert (await shelf.api.next()).status_code == 409
    assert (await shelf.act(row["id"], "unblock", reason="found again")).json()["status"] == "available"
    await shelf.api.next()
    [reserved] = await shelf.stock.events(row["id"])
    assert (reserved["sequence"], reserved["event_type"]) == (1, "issue.reserved")
    told = [one for one in await shelf.stock.events() if one["event_type"] == "audit.operatorActed"]
    assert [(one["stream_key"], one["payload"]["who"]) for one in told] == 2 * [("GC-5000", "anna")]
    words = [one["payload"]["what"] for one in told]
    assert words == [
        f"blocked certificate {row['id']}, which was never reserved: {STOLEN}",
        f"unblocked certificate {row['id']}, which was never reserved: found again",
    ]


async def test_a_block_counts_once_under_its_key(shelf: Desk) -> None:
    await shelf.stock.fill(1)
    certificate_id = (await shelf.api.next()).json()["certificateId"]
    await shelf.act(certificate_id, "block", reason=STOLEN, key="k")
    await shelf.act(certificate_id, "unblock", reason="found again")
    again = await shelf.act(certificate_id, "block", reason=STOLEN, key="k")
    assert (again.json()["status"], again.headers["idempotency-hit"]) == ("blocked", "true")
    assert (await shelf.act(certificate_id, "block", reason=STOLEN)).json()["status"] == "blocked"
    assert len(await shelf.stock.events(certificate_id)) == 4


async def test_a_sold_certificate_is_not_blocked_while_temporal_is_away(
    settings: Settings, stock: Stock
) -> None:
    await stock.fill(1)
    certificate_id = await stock.make("issued", sequence=1)
    hasty = settings.model_copy(update={"request_timeout": timedelta(milliseconds=300)})
    async with open_api(hasty) as api:
        reply = await Desk(api, stock, client=None).act(certificate_id, "block", reason=STOLEN)  # type: ignore[arg-type]
    assert_problem(reply, 503, "part-unavailable")
    assert reply.json()["part"] == "temporal"


async def test_the_client_is_written_to_again(desk: Desk) -> None:
    sold = await desk.sell()
    replies = [await desk.act(sold, "notifications", role="crm", key="k") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [202, 202]
    assert await desk.told(sold, "notification.") == 2 * ["notification.requested"]
    asked = [
        one["payload"] for one in await desk.stock.events(sold.certificate_id) if "who" in one["payload"]
    ]
    assert [one["who"] for one in asked] == ["anna"]


async def test_nobody_is_written_to_before_a_certificate_is_issued_or_after_it_ended(desk: Desk) -> None:
    sold = await desk.sell(paid=False)
    assert_problem(await desk.act(sold, "notifications"), 409, "status-not-allowed")
    await desk.pay(sold)
    await desk.until_status(sold, "issued")
    await desk.refund(sold)
    await desk.until_status(sold, "refunded")
    assert_problem(await desk.act(sold, "notifications"), 409, "status-not-allowed")


async def test_acts_are_for_the_roles_and_certificates_that_there_are(shelf: Desk) -> None:
    for what in ("block", "unblock"):
        for role in ("channel", "crm", "ops"):
            assert (await shelf.act(str(uuid4()), what, role=role, reason=STOLEN)).status_code == 403
        assert_problem(await shelf.act(str(uuid4()), what, reason=STOLEN), 404, "unknown-certificate")
        assert (await shelf.act(str(uuid4()), what, reason="")).json()["errors"][0]["field"] == "reason"
    assert (await shelf.act(str(uuid4()), "notifications", role="ops")).status_code == 403
    assert_problem(await shelf.act(str(uuid4()), "notifications"), 404, "unknown-certificate")

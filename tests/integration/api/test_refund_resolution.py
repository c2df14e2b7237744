"""A person decides refund cases over HTTP, in the real PostgreSQL, while Temporal is away."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from giftcert.domain.order.messages import Allocation
from giftcert.domain.products import Product
from giftcert.settings import Settings
from giftcert.storage.refund_cases import OpenCase, RefundCaseRepository
from tests.integration.api.api_client import Api, open_api
from tests.integration.api.refund_desk import PRICE, Desk
from tests.integration.api.sales import captured, cause, open_stock, orders_of, redeem, refunded
from tests.integration.api.test_problems import assert_problem

pytestmark = pytest.mark.integration
FOUR_EYES_OVER = 600_000
GIVEN_AWAY = Product("GC-GIFT", "RUB", nominal=PRICE, greatest_discount_percent=100)


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    chosen: dict[str, Any] = {
        "direct_spend_channels": ("pos",),
        "direct_spend_cap": PRICE,
        "refund_four_eyes_over": FOUR_EYES_OVER,
    }
    settings = settings.model_copy(update=chosen)
    async with open_stock(settings) as stock, open_api(settings) as api:
        yield Desk(api, stock, orders_of(stock))


def amounts(reply: Any) -> dict[str, int]:
    body = reply.json()
    return {name: body[name]["amount"] for name in ("taken", "uncovered", "balance")}


def problem_fields(reply: Any) -> list[str]:
    assert_problem(reply, 422, "invalid-request")
    return [error["field"] for error in reply.json()["errors"]]


async def test_an_approval_takes_what_is_left_and_says_what_is_not_covered(desk: Desk) -> None:
    sold, case = await desk.spent_and_refunded()
    reply = await desk.resolve(case)
    assert reply.status_code == 200
    body = reply.json()
    assert (body["certificateId"], body["refundCaseId"]) == (sold.certificate_id, case)
    assert (body["decision"], body["status"], body["refundState"]) == ("approve", "refunded", "completed")
    assert amounts(reply) == {"taken": 400_000, "uncovered": 100_000, "balance": 0}
    assert (await desk.published(sold))[-2:] == ["refund.resolved", "refund.completed"]
    assert await desk.published(sold, "audit.") == ["audit.operatorActed"]
    resolved = [one for one in await desk.stock.events(sold.certificate_id) if "resolvedBy" in one["payload"]]
    assert [(one["payload"]["resolvedBy"], one["payload"]["note"]) for one in resolved] == [
        ("anna", "agreed with the buyer")
    ]


async def test_an_approval_of_less_leaves_a_certificate_that_works(desk: Desk) -> None:
    _, case = await desk.spent_and_refunded()
    reply = await desk.resolve(case, amount=300_000)
    assert reply.json()["status"] == "partiallyRedeemed"
    assert amounts(reply) == {"taken": 300_000, "uncovered": 200_000, "balance": 100_000}


async def test_what_a_decision_says_of_a_refund_is_not_said_where_it_is_refused_for_what_it_says(
    desk: Desk,
) -> None:
    """The buyer paid 1,000.00 too much: what goes back and is said to mean this line is that before its price."""
    sold, other = await desk.sell_two()
    twice = replace(captured(sold.order_id, 100_000), cause=cause("again"), capture_id="again")
    refund = replace(refunded(sold.order_id, 750_000), allocations=(Allocation(other.line_id, PRICE),))
    await desk.orders.tell(twice)
    await desk.orders.tell(refund)
    case = await desk.case_of(sold, "requested")
    order = await desk.stock.rows("SELECT * FROM orders")
    reply = await desk.resolve(case, amount=100_000)
    assert problem_fields(reply) == ["amount"]
    assert await desk.stock.rows("SELECT * FROM orders") == order
    assert (await desk.resolve(case)).status_code == 200


async def test_a_rejection_lets_the_certificate_work_again_uncovered(desk: Desk) -> None:
    _, case = await desk.spent_and_refunded()
    reply = await desk.resolve(case, "reject")
    body = reply.json()
    assert (reply.status_code, body["decision"], body["refundState"]) == (200, "reject", "rejected")
    assert amounts(reply) == {"taken": 0, "uncovered": 500_000, "balance": 400_000}


async def test_an_approval_before_the_money_is_back_takes_it_when_it_comes(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.hand_back(sold)
    case = await desk.case_of(sold, "requested")
    reply = await desk.resolve(case)
    assert (reply.json()["status"], reply.json()["refundState"]) == ("issued", "requested")
    assert amounts(reply) == {"taken": 0, "uncovered": 0, "balance": PRICE}
    listed = (await desk.api.as_role("crm", "/refunds", state="requested")).json()["items"]
    assert [one["approved"]["amount"] for one in listed] == [PRICE]
    await desk.refund(sold)
    assert (await desk.row(sold))["status"] == "refunded"


async def test_a_rejection_before_the_money_is_back_ends_the_case(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.hand_back(sold)
    reply = await desk.resolve(await desk.case_of(sold, "requested"), "reject")
    assert (reply.json()["status"], reply.json()["refundState"]) == ("issued", "rejected")
    assert amounts(reply) == {"taken": 0, "uncovered": 0, "balance": PRICE}


async def test_a_refund_before_any_capture_may_only_be_approved_before_issue(desk: Desk) -> None:
    sold = await desk.sell(paid=False)
    await desk.refund(sold)
    case = await desk.case_of(sold, "awaitingCapture")
    listed = (await desk.api.as_role("crm", "/refunds", state="awaitingCapture")).json()["items"]
    assert [(one["refundCaseId"], one["allowedDecisions"]) for one in listed] == [(case, ["approve"])]
    assert problem_fields(await desk.resolve(case, "reject")) == ["decision"]
    reply = await desk.resolve(case)
    assert (reply.status_code, reply.json()["taken"]["amount"]) == (200, 0)
    assert (await desk.row(sold))["status"] == "available"


@pytest.mark.parametrize(("decision", "state"), [("approve", "completed"), ("reject", "rejected")])
async def test_money_for_a_certificate_that_cost_nothing_is_decided_either_way(
    desk: Desk, decision: str, state: str
) -> None:
    sold = await desk.sell(price=0, product=GIVEN_AWAY)
    await desk.refund(sold, amount=100)
    reply = await desk.resolve(await desk.case_of(sold, "awaitingCapture"), decision)
    assert (reply.status_code, reply.json()["refundState"]) == (200, state)


async def test_what_does_not_fit_the_case_is_named(desk: Desk) -> None:
    _, case = await desk.spent_and_refunded()
    assert problem_fields(await desk.resolve(case, amount=400_001)) == ["amount"]
    assert problem_fields(await desk.resolve(case, amount=-1)) == ["amount"]
    assert problem_fields(await desk.resolve(case, "reject", amount=100)) == ["amount"]
    assert problem_fields(await desk.resolve(case, "perhaps")) == ["decision"]
    assert problem_fields(await desk.resolve(case, note="write to anna@example.com")) == ["note"]
    assert (await desk.resolve(case)).status_code == 200


async def test_a_refund_in_another_currency_needs_an_amount(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.refund(sold, currency="EUR")
    case = await desk.case_of(sold, "pendingDetails")
    assert problem_fields(await desk.resolve(case)) == ["amount"]
    assert problem_fields(await desk.resolve(case, "reject", amount=PRICE + 1)) == ["amount"]
    assert (await desk.resolve(case, amount=PRICE)).json()["status"] == "refunded"


async def test_a_refund_in_another_currency_is_told_and_listed_in_that(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.refund(sold, amount=6_000, currency="EUR")
    case = await desk.case_of(sold, "pendingDetails")
    [listed] = (await desk.api.as_role("support", "/refunds")).json()["items"]
    euros = {"amount": 6_000, "currency": "EUR"}
    assert (listed["refundCaseId"], listed["amount"]) == (case, euros)
    assert (listed["price"], listed["refunded"]["amount"]) == ({"amount": PRICE, "currency": "RUB"}, 0)
    published = (await desk.stock.events(sold.certificate_id))[-1]["payload"]
    assert (published["reason"], published["amount"], published["foreignCurrency"]) == (
        "currencyMismatch",
        euros,
        "EUR",
    )


async def test_a_case_is_decided_once(desk: Desk) -> None:
    _, case = await desk.spent_and_refunded()
    assert (await desk.resolve(case)).status_code == 200
    assert_problem(await desk.resolve(case), 409, "nothing-pending")
    assert_problem(await desk.resolve(case, "reject", by="bert"), 409, "nothing-pending")


async def test_a_case_that_is_decided_while_the_list_is_read_is_left_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, case = await desk.spent_and_refunded()
    open_cases = RefundCaseRepository.open_cases

    async def decided_then(self: RefundCaseRepository, *about: Any) -> list[OpenCase]:
        found = await open_cases(self, *about)
        assert (await desk.resolve(case)).status_code == 200
        return found

    monkeypatch.setattr(RefundCaseRepository, "open_cases", decided_then)
    listed = await desk.api.as_role("support", "/refunds")
    assert listed.json() == {"items": [], "next": None}


async def test_two_persons_who_decide_at_once_get_one_outcome(desk: Desk) -> None:
    sold, case = await desk.spent_and_refunded()
    replies = await asyncio.gather(desk.resolve(case), desk.resolve(case, "reject", by="bert"))
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    assert (await desk.published(sold)).count("refund.completed") == 1


async def test_a_repeat_under_its_key_gets_the_same_answer(desk: Desk) -> None:
    _, case = await desk.spent_and_refunded()
    replies = await asyncio.gather(*(desk.resolve(case, key="k") for _ in range(2)))
    replies.append(await desk.resolve(case, key="k"))
    assert {reply.status_code for reply in replies} == {200}
    assert [reply.json() for reply in replies] == 3 * [replies[0].json()]
    assert sum("idempotency-hit" in reply.headers for reply in replies) == 2
    assert_problem(await desk.resolve(case, "reject", key="k"), 422, "idempotency-mismatch")


async def test_a_large_refund_takes_two_persons(desk: Desk) -> None:
    sold = await desk.sell()
    await desk.refund(sold, amount=FOUR_EYES_OVER + 1)
    case = await desk.case_of(sold, "pendingDetails")
    for _ in range(2):  # alone she can repeat it as often as she likes
        first = await desk.resolve(case, amount=450_000)
        assert first.status_code == 202
        assert first.json() == {
            "outcome": "awaitingSecond",
            "refundCaseId": case,
            "certificateId": sold.certificate_id,
            "awaitingSecond": True,
            "decision": "approve",
            "amount": 450_000,
        }
    [listed] = (await desk.api.as_role("support", "/refunds")).json()["items"]
    assert listed["agreed"] == {"decision": "approve", "amount": 450_000, "by": "anna"}
    assert (await desk.resolve(case, amount=400_000, by="bert")).status_code == 202
    second = await desk.resolve(case, amount=400_000, by="anna")
    assert (second.status_code, second.json()["balance"]["amount"]) == (200, 100_000)
    acts = [one["payload"] for one in await desk.stock.events(sold.certificate_id) if "who" in one["payload"]]
    assert [act["who"] for act in acts] == ["anna", "bert", "anna"]
    assert acts[-1]["what"] == f"decided to approve refund case {case}: agreed with the buyer"


async def test_a_refund_and_a_redemption_that_race_have_one_outcome(desk: Desk) -> None:
    sold = await desk.sell()
    shown = await desk.stock.credentials(sold.certificate_id)
    redeemed, _ = await asyncio.gather(redeem(desk.api, shown, PRICE, "till-1"), desk.refund(sold))
    if redeemed.status_code == 409:
        assert (await desk.row(sold))["status"] == "refunded"
        assert "redemption.authorized" not in await desk.published(sold, "redemption.")
        return
    assert redeemed.status_code == 201
    case = await desk.case_of(sold, "pendingDetails")
    reply = await desk.resolve(case)
    assert amounts(reply) == {"taken": 0, "uncovered": PRICE, "balance": 0}
    assert (await desk.row(sold))["held"] == PRICE


async def test_one_refund_is_never_given_to_two_certificates(desk: Desk) -> None:
    both = await desk.sell_two()
    await desk.refund(both[0], allocated=False)
    cases = [await desk.case_of(sold, "requested") for sold in both]
    replies = await asyncio.gather(*(desk.resolve(case) for case in cases))
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    rows = [await desk.row(sold) for sold in both]
    assert sorted(row["balance"] for row in rows) == [0, PRICE]


async def test_one_refund_in_another_currency_is_never_given_to_two_certificates(desk: Desk) -> None:
    both = await desk.sell_two()
    await desk.refund(both[0], allocated=False, currency="EUR")
    cases = [await desk.case_of(sold, "pendingDetails") for sold in both]
    replies = await asyncio.gather(*(desk.resolve(case, amount=PRICE) for case in cases))
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    rows = [await desk.row(sold) for sold in both]
    assert sorted(row["balance"] for row in rows) == [0, PRICE]


async def test_an_unknown_case_is_not_found(desk: Desk) -> None:
    assert_problem(await desk.resolve(str(uuid4())), 404, "unknown-refund-case")


async def test_only_crm_and_support_decide(api: Api) -> None:
    body = {"decision": "approve", "note": "n"}
    for role in ("channel", "ops"):
        reply = await api.client.post(f"/refunds/{uuid4()}/resolution", json=body, headers=api.headers(role))
        assert_problem(reply, 403, "role-not-allowed")

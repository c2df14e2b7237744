from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from simulators.baskets import certificate_order
from simulators.demo.accounts import judge_revenue, judge_spending
from simulators.demo.books import Books
from simulators.demo.journal import Journal
from simulators.demo.outcomes import ISSUED, ORDERED, CertificateTells
from simulators.figures import Figures
from simulators.messages import Order
from simulators.service import Reservation
from simulators.topics import Record

Sale = Callable[..., list[Record]]
MakeRecord = Callable[..., Record]


def money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "RUB"}


@pytest.fixture
def order(reservation: Reservation) -> Order:
    return certificate_order("IM-1", [reservation], discount_percent=10)


@pytest.fixture
def sold(journal: Journal, sale: Sale) -> Journal:
    for record in sale():
        journal.take(record)
    return journal


def test_revenue_is_the_price_of_what_was_issued(
    sold: Journal, reservation: Reservation, order: Order
) -> None:
    found = judge_revenue(sold, [order], [CertificateTells(reservation, ISSUED)], Figures())
    assert (found.expected, found.holds) == ("4,500.00 RUB", True)


def test_revenue_of_earlier_runs_is_not_that_of_this_one(
    sold: Journal, reservation: Reservation, order: Order
) -> None:
    earlier = Figures(sold=100)
    assert not judge_revenue(sold, [order], [CertificateTells(reservation, ISSUED)], earlier).holds


def test_revenue_leaves_out_what_was_never_issued_or_is_a_strangers(
    journal: Journal, reservation: Reservation, order: Order
) -> None:
    stranger = msgspec.structs.replace(order, order_id="IM-2")
    expected = [CertificateTells(reservation, ORDERED)]
    assert judge_revenue(journal, [order, stranger], expected, Figures()).expected == "0.00 RUB"


@pytest.fixture
def spent(sold: Journal, event_record: MakeRecord) -> Journal:
    """2,000.00 are taken, 1,000.00 more are held."""
    steps = (
        ("redemption.captured", "x-1", 200_000, money(300_000), money(0)),
        ("redemption.authorized", "x-2", 100_000, money(200_000), money(100_000)),
    )
    for number, (event_type, redemption, amount, balance, held) in enumerate(steps, start=5):
        payload = {"redemptionId": redemption, "amount": money(amount), "orderId": "POS-9"}
        fields = {"status": "partiallyRedeemed", "balance": balance, "held": held, "payload": payload}
        sold.take(event_record(event_type, sequence=number, **fields))
    return sold


def wrong(journal: Journal, books: Books) -> list[str]:
    return [one.subject for one in judge_spending(journal, books, Figures()) if not one.holds]


def test_a_hold_that_is_open_when_the_day_is_over_is_found(spent: Journal) -> None:
    assert wrong(spent, Books(redeemed=200_000)) == ["Still held when the day is over"]


def test_what_the_shops_did_not_take_or_support_did_not_give_is_found(spent: Journal) -> None:
    found = wrong(spent, Books(redeemed=100_000, uncovered=1, goods_uncovered=1, breakage=1))
    assert found[:4] == [
        "Redeemed in this run",
        "Refunded of what was spent",
        "Sold for which no certificate paid",
        "Forgotten until it expired",
    ]

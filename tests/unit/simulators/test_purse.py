from collections.abc import Callable
from typing import Any

import pytest

from simulators.bi import take_in
from simulators.fold import Fold
from simulators.topics import Record

Sale = Callable[..., list[Record]]
MakeRecord = Callable[..., Record]


def money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "RUB"}


@pytest.fixture
def published(sale: Sale, event_record: MakeRecord) -> Callable[..., Fold]:
    """A sale of 5,000.00, then steps of (event, status, balance, held, payload)."""

    def make(*steps: tuple[str, str, int, int, dict[str, Any]]) -> Fold:
        fold = Fold()
        for record in sale():
            take_in(fold, record)
        for number, (event_type, status, balance, held, payload) in enumerate(steps, start=5):
            fields = {"status": status, "balance": money(balance), "held": money(held), "payload": payload}
            take_in(fold, event_record(event_type, sequence=number, **fields))
        return fold

    return make


def of(amount: int, redemption: str = "x-1") -> dict[str, Any]:
    return {"redemptionId": redemption, "amount": money(amount), "orderId": "POS-9"}


def test_a_hold_of_which_less_is_captured_frees_the_rest(published: Callable[..., Fold]) -> None:
    fold = published(
        ("redemption.authorized", "issued", 200_000, 300_000, of(300_000)),
        ("redemption.captured", "partiallyRedeemed", 380_000, 0, of(120_000)),
    )
    assert fold.violations == []
    assert (fold.figures.redeemed, fold.held, fold.liability) == (120_000, 0, 380_000)


def test_an_open_hold_is_held_and_still_owed(published: Callable[..., Fold]) -> None:
    fold = published(("redemption.authorized", "issued", 200_000, 300_000, of(300_000)))
    assert (fold.violations, fold.held, fold.liability) == ([], 300_000, 500_000)


def test_everything_spent_and_given_back_is_as_new(published: Callable[..., Fold]) -> None:
    fold = published(
        ("redemption.captured", "redeemed", 0, 0, of(500_000)),
        ("redemption.restored", "issued", 500_000, 0, of(500_000)),
    )
    assert (fold.violations, fold.figures.redeemed) == ([], 0)


def test_a_refund_takes_what_is_left_and_the_rest_is_uncovered(published: Callable[..., Fold]) -> None:
    back = {
        "amount": money(450_000),
        "taken": money(300_000),
        "uncovered": money(200_000),
        "beforeIssue": False,
    }
    fold = published(
        ("redemption.captured", "partiallyRedeemed", 300_000, 0, of(200_000)),
        ("refund.completed", "refunded", 0, 0, back),
    )
    assert (fold.violations, fold.figures.uncovered, fold.liability) == ([], 200_000, 0)


def test_goods_that_no_certificate_paid_are_counted_apart(published: Callable[..., Fold]) -> None:
    fold = published(
        ("redemption.rejected", "issued", 500_000, 0, of(100_000) | {"reason": "holdRequired"}),
        ("alert.redemptionUncovered", "issued", 500_000, 0, of(100_000) | {"reason": "holdRequired"}),
    )
    assert fold.violations == []
    assert (fold.figures.goods_uncovered, fold.figures.uncovered, fold.figures.redeemed) == (100_000, 0, 0)


HOLD = ("redemption.authorized", "issued", 200_000, 300_000, of(300_000))


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([("redemption.authorized", "issued", 200_001, 300_000, of(300_000))], "by its events 200000 and 300000"),
        ([("redemption.captured", "issued", 300_000, 0, of(200_000))], "by its money partiallyRedeemed"),
        ([("redemption.captured", "partiallyRedeemed", 0, 0, of(500_000))], "by its money redeemed"),
        ([HOLD, ("redemption.authorized", "issued", 100_000, 400_000, of(100_000))], "is held twice"),
        ([HOLD, ("redemption.captured", "partiallyRedeemed", 100_000, 0, of(400_000))], "of 300000 held"),
        ([HOLD, ("redemption.voided", "issued", 500_000, 0, of(200_000))], "given back of 300000 held"),
        ([("redemption.restored", "issued", 500_000, 0, of(1))], "1 is restored of 0 spent"),
    ],
)  # fmt: skip
def test_money_that_does_not_follow_from_the_events_is_found(
    published: Callable[..., Fold], steps: list[Any], fault: str
) -> None:
    assert any(fault in violation for violation in published(*steps).violations)


def test_what_only_follows_from_a_fault_is_not_told_again(published: Callable[..., Fold]) -> None:
    wrong = ("redemption.authorized", "issued", 199_999, 300_000, of(300_000))
    same = ("redemption.voided", "issued", 499_999, 0, of(300_000))
    assert len(published(wrong, same).violations) == 1

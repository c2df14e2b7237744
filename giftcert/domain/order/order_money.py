"""All money of an order: what was captured for which line, what of it is back, what has paid it."""

from collections.abc import Mapping
from dataclasses import dataclass

from giftcert.domain.order.captures import CapturedMoney
from giftcert.domain.order.foreign_money import foreign_parts, spread_foreign
from giftcert.domain.order.line_money import Claims, GivenBack
from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.paid import may_pay_more, with_paid_prices
from giftcert.domain.order.refund_lines import RefundedMoney, spread_refunds
from giftcert.domain.order.refunds import Refund, own_parts, refunds_of
from giftcert.domain.order.standing import CountedMoney
from giftcert.domain.order.state import Order


@dataclass(frozen=True, slots=True)
class OrderMoney:
    """How the money of an order stands. ``foreign`` are refunds in other currencies, with the lines they may mean."""

    claims: Claims
    bearers: Bearers
    refunded: RefundedMoney
    foreign: list[tuple[Refund, tuple[int, ...]]]


def money_of(order: Order, counted: Mapping[int, CountedMoney]) -> tuple[Order, OrderMoney]:
    """Return the order with the prices that its captures have paid by now, and all its money.

    Args:
        order: the order.
        counted: what closed refund cases have counted, by line key: it stays with those lines.
    """
    bearers = Bearers(order)
    captured = CapturedMoney(order, bearers)
    money = _spread(order, bearers, captured, counted)
    paid = with_paid_prices(order, money.claims, money.refunded.filled, money.refunded.back)
    return (order, money) if paid is order else (paid, _spread(paid, bearers, captured, counted))


def with_newly_paid(order: Order) -> Order:
    """Return the order with the prices that its captures have paid by now."""
    if not order.captures and all(line.price for line in order.lines):
        return order
    claims = Claims(order, CapturedMoney(order, Bearers(order)))
    return money_of(order, {})[0] if may_pay_more(claims) else order


def _spread(
    order: Order, bearers: Bearers, captured: CapturedMoney, counted: Mapping[int, CountedMoney]
) -> OrderMoney:
    foreign = refunds_of(order, foreign_parts(order), bearers, counted)
    candidates = spread_foreign(order, foreign)
    back = GivenBack(of_unknown_worth=frozenset(key for refund in foreign for key in refund.given))
    refunds = refunds_of(order, own_parts(order), bearers, counted)
    claims = Claims(order, captured)
    refunded = spread_refunds(order, claims, refunds, back)
    return OrderMoney(claims, bearers, refunded, list(zip(foreign, candidates, strict=True)))

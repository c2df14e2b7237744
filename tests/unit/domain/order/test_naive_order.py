"""The order against a naive second reading of the rules, for payments that say for which line they are."""

from dataclasses import replace

from hypothesis import given

from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.standing import LineStanding
from tests.unit.domain.order import orders as o
from tests.unit.domain.order.any_orders import sales_gone_wrong
from tests.unit.domain.order.naive_order import NaiveOrder
from tests.unit.domain.profiles import searched


def as_read(standing: LineStanding) -> tuple[object, ...]:
    how = standing.withdrawal.how.value if standing.withdrawal else None
    named = standing.line_id, standing.naming.certificate_id, standing.listed, how
    return *named, standing.captured, o.back(standing), standing.price, standing.is_paid


def naively(order: NaiveOrder, nth: int) -> tuple[object, ...]:
    line = order.lines[nth]
    named = line.number, line.certificate, line.listed, line.how
    return *named, order.captured(nth), order.back(nth), order.price(nth), order.is_paid(nth)


def is_plain(message: m.OrderMessage) -> bool:
    """Without other currencies and without words of persons, which the naive reading does not know."""
    if isinstance(message, m.PaymentCaptured | m.PaymentRefunded):
        return message.currency == "RUB"
    return not isinstance(message, m.RefundShareDecided)


def without_discount(message: m.OrderMessage) -> m.OrderMessage:
    if isinstance(message, m.OrderStated):
        return replace(message, total=sum(line.amount for line in message.lines))
    return message


@searched(200)
@given(sales_gone_wrong(allocated=True))
def test_lines_and_their_money_are_as_a_naive_reading_has_them(messages: list[m.OrderMessage]) -> None:
    naive, published = NaiveOrder(), [without_discount(one) for one in messages if is_plain(one)]
    order = None
    for message in published:
        naive.hear(message)
        order = o.fold(message, order=order)
        for key, standing in line_standings(order, {}).items():
            assert as_read(standing) == naively(naive, key - 1)

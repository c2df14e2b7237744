"""What holds for any order: arrival, conservation of money, counting, storage."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.novelty import Novelty, novelty
from giftcert.domain.order.order import Order, apply
from giftcert.domain.order.standing import CountedMoney, LineStanding
from tests.unit.domain.order import orders as o
from tests.unit.domain.order.any_orders import interleaved, plain_sales, sales_gone_wrong, topics_of
from tests.unit.domain.profiles import searched

Standings = Mapping[int, LineStanding]


# Arrival ------------------------------------------------------------------------------------------


def by_certificate(standings: Standings) -> dict[str, LineStanding]:
    return {one.naming.certificate_id: one for one in standings.values()}


@searched(80)
@given(st.data(), plain_sales())
def test_any_interleaving_of_the_topics_with_any_repeats_ends_the_same(
    data: st.DataObject, sale: tuple[list[m.OrderMessage], list[m.OrderMessage]]
) -> None:
    published = data.draw(interleaved(sale))
    versions, payments = sale
    in_turn = o.fold(*versions, *payments)
    order = o.fold(*published)
    assert order.revision == in_turn.revision
    assert line_standings(order, {}) == line_standings(in_turn, {})
    assert order.unpaid_until(o.POLICY) == in_turn.unpaid_until(o.POLICY)


@searched(150)
@given(st.data(), sales_gone_wrong(allocated=True))
def test_allocated_money_belongs_to_its_line_whatever_the_order_of_arrival(
    data: st.DataObject, messages: list[m.OrderMessage]
) -> None:
    topics = topics_of(messages)
    in_turn = line_standings(o.fold(*topics[0], *topics[1]), {})
    found = line_standings(o.fold(*data.draw(interleaved(topics))), {})
    for key, one in in_turn.items():
        assert (found[key].captured, o.back(found[key])) == (one.captured, o.back(one))


@searched(150)
@given(sales_gone_wrong())
def test_a_message_told_again_changes_nothing(messages: list[m.OrderMessage]) -> None:
    order = o.fold(*messages)
    for message in messages:
        if not isinstance(message, m.RefundShareDecided):
            assert novelty(order, message) in {Novelty.REPEAT, Novelty.STALE}
            assert apply(order, message, o.NOON + o.DAY) is order


# Conservation -------------------------------------------------------------------------------------


@searched(150)
@given(sales_gone_wrong())
def test_every_unit_of_money_is_counted_once(messages: list[m.OrderMessage]) -> None:
    order: Order | None = None
    for message in messages:
        order = apply(order, message, o.NOON)
        standings = line_standings(order, {})
        captured = sum(one.amount for one in order.captures if one.currency == order.currency)
        assert sum(one.captured for one in standings.values()) <= captured
        assert all(one.captured >= 0 for one in standings.values())
        if order.lines and is_of_certificates_alone(order):
            assert sum(one.captured for one in standings.values()) == captured
        for refund_id, currency in {(one.refund_id, one.currency) for one in order.refunds}:
            assert back_of(standings, refund_id, currency) <= sum(
                one.amount for one in order.refunds if (one.refund_id, one.currency) == (refund_id, currency)
            )


def is_of_certificates_alone(order: Order) -> bool:
    """Whether all money must be that of certificate lines: no goods, nothing unlisted, no number that nobody bore."""
    numbers = {one.line_id for one in order.bearings}
    known = all(number in numbers for one in order.captures for number, _ in one.allocations)
    goods = any(line.naming is None for line in order.lines)
    return known and not goods and order.total <= sum(line.price for line in order.lines if line.listed)


@searched(150)
@given(sales_gone_wrong())
def test_what_no_goods_can_have_taken_is_the_certificates(messages: list[m.OrderMessage]) -> None:
    """One number asks for the price of its goods once, however often they left and were listed anew."""
    published = [one for one in messages if not isinstance(one, m.PaymentRefunded | m.RefundShareDecided)]
    order: Order | None = None
    for message in published:
        order = apply(order, message, o.NOON)
        standings = line_standings(order, {})
        if any(one.captured < order.lines[key - 1].price for key, one in standings.items()):
            captured = sum(one.amount for one in order.captures if one.currency == order.currency)
            certificates = sum(one.captured for one in standings.values())
            assert certificates >= captured - most_for_goods(order)


def most_for_goods(order: Order) -> int:
    """What goods, what is listed nowhere and numbers that nobody bore can have taken of the captures."""
    price = {line.line_id: line.price for line in order.lines if line.naming is None}
    certificates = {line.line_id for line in order.lines if line.naming is not None}
    allocated = Counter[str]()
    for capture in order.captures:
        for number, amount in capture.allocations if capture.currency == order.currency else ():
            allocated[number] += amount
    numbers = price.keys() | (allocated.keys() - certificates)
    unlisted = max(0, order.total - sum(line.price for line in order.lines if line.listed))
    return unlisted + sum(max(price.get(number, 0), allocated[number]) for number in numbers)


def back_of(standings: Standings, refund_id: str, currency: str) -> int:
    refunds = [one for line in standings.values() for one in line.refunds]
    return sum(
        one.certain for one in refunds if (one.refund_id, one.currency) == (refund_id, currency)
    ) + max(
        (one.possible for one in refunds if (one.refund_id, one.currency) == (refund_id, currency)), default=0
    )


@searched(80)
@given(sales_gone_wrong())
def test_when_all_is_back_each_line_got_back_what_was_captured_for_it(
    messages: list[m.OrderMessage],
) -> None:
    order = o.fold(*messages)
    left: dict[tuple[str, str], int] = {}
    for capture in order.captures:
        of = (capture.payment_id, capture.currency)
        left[of] = left.get(of, 0) + capture.amount
    for part in order.refunds:
        left[part.payment_id, part.currency] -= part.amount
    rest = [
        o.refunded(amount, payment_id=payment_id, currency=currency)
        for (payment_id, currency), amount in left.items()
        if amount > 0 and currency == "RUB"
    ]
    for one in line_standings(o.fold(*rest, order=order), {}).values():
        if one.currency == "RUB":
            assert (o.back(one), o.possible(one)) == (one.captured, 0)


@searched(80)
@given(sales_gone_wrong(), st.sampled_from((1, 250, 5_000)), st.sampled_from((None, "1", "2", "3")))
def test_one_more_capture_takes_no_money_from_a_line(
    messages: list[m.OrderMessage], amount: int, number: str | None
) -> None:
    """Where money went back, what the rules say of an unallocated refund may change with what is there."""
    order = o.fold(
        *(one for one in messages if not isinstance(one, m.PaymentRefunded | m.RefundShareDecided))
    )
    before = line_standings(order, {})
    more = o.captured(amount, "P-7", to={number: amount} if number else None, at=o.NOON + o.DAY)
    after = line_standings(o.fold(more, order=order), {})
    assert all(after[key].captured >= one.captured for key, one in before.items())


@searched(80)
@given(sales_gone_wrong())
def test_a_line_that_is_paid_has_its_price_and_that_was_paid(messages: list[m.OrderMessage]) -> None:
    for one in line_standings(o.fold(*messages), {}).values():
        if one.is_paid:
            assert one.captured - o.back(one) >= one.price
            assert one.is_paid_by_any_tender
            assert one.missing == 0
            assert one.paying or one.price == 0


# Counting -----------------------------------------------------------------------------------------


@searched(150)
@given(st.data(), sales_gone_wrong())
def test_counting_by_itself_changes_no_standing(data: st.DataObject, messages: list[m.OrderMessage]) -> None:
    order = o.fold(*messages)
    counted: dict[int, CountedMoney] = {}
    before = line_standings(order, counted)
    for key in data.draw(st.lists(st.sampled_from(sorted(before)), unique=True)) if before else []:
        counted[key] = o.counted_whole(before[key])
        assert line_standings(order, counted) == before


@searched(80)
@given(st.data(), sales_gone_wrong(), sales_gone_wrong())
def test_what_was_counted_stays_with_its_line_whatever_comes(
    data: st.DataObject, messages: list[m.OrderMessage], more: list[m.OrderMessage]
) -> None:
    order = o.fold(*messages)
    before = line_standings(order, {})
    keys = data.draw(st.lists(st.sampled_from(sorted(before)), unique=True)) if before else []
    counted = {key: o.counted_whole(before[key]) for key in keys}
    later = [
        replace(one, version=one.version + order.version) if isinstance(one, m.OrderVersion) else one
        for one in more
    ]
    for key, one in line_standings(o.fold(*later, order=order), counted).items():
        for refund_id, currency, amount in counted.get(key, CountedMoney()).refunds:
            if currency == one.currency:
                assert o.refund(one, refund_id, currency).certain >= amount


# Storage ------------------------------------------------------------------------------------------

_ENCODE, _DECODE = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Order).decode


@searched(100)
@given(sales_gone_wrong())
def test_an_order_may_be_stored_between_any_two_messages(messages: list[m.OrderMessage]) -> None:
    stored: Order | None = None
    kept: Order | None = None
    for message in messages:
        stored = o.fold(message, order=_DECODE(_ENCODE(stored)) if stored else None)
        kept = o.fold(message, order=kept)
    assert stored == kept


@searched(100)
@given(sales_gone_wrong())
def test_a_batch_ends_as_its_messages_one_by_one(messages: list[m.OrderMessage]) -> None:
    """Captures after a refund are left out: how much of it was beyond a price then depends on those that have come."""
    refunds = (m.PaymentRefunded, m.RefundShareDecided)
    published = [one for one in messages if not isinstance(one, refunds)]
    published += [one for one in messages if isinstance(one, refunds)]
    order: Order | None = None
    for message in published:
        order = o.fold(message, order=order)
    assert order == o.fold(*published)


def test_what_paid_a_line_of_a_new_version_is_the_money_that_was_there_when_it_came() -> None:
    messages = (
        o.stated(o.gift("1", 250), o.gift("3", 500)),
        o.captured(450),
        o.stated(o.gift("1", 250), o.gift("3", 500), o.goods("2", 100), version=2),
        o.captured(450),
        o.captured(100, to={"2": 33}),
        o.stated(o.gift("2", 250), version=3),
        o.captured(1_000),
    )
    order: Order | None = None
    for message in messages:
        order = o.fold(message, order=order)
    assert order == o.fold(*messages)
    assert order is not None
    assert [paid.unallocated for paid in order.lines[-1].paid] == [217]

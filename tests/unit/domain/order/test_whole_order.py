"""An order as a whole: unpaid deadline, size, how it is stored, payments before it."""

import msgspec
import pytest

from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.novelty import Novelty, novelty
from giftcert.domain.order.order import Order, apply
from giftcert.domain.order.state import MOST_CERTIFICATE_LINES, MOST_PAYMENTS
from giftcert.domain.policy import Policy
from tests.unit.domain.order import orders as o

POLICY = Policy()
LATER = o.NOON + o.DAY


# Unpaid -------------------------------------------------------------------------------------------


def unpaid_until(*messages: tuple[m.OrderMessage, int]) -> object:
    """Days, hours after noon until when the payments, each told some days after noon, keep the order."""
    order: Order | None = None
    for message, days in messages:
        order = apply(order, message, o.NOON + days * o.DAY)
    assert order
    until = order.unpaid_until(POLICY)
    return until and until - o.NOON


def test_an_order_without_authorisations_has_only_its_own_deadline() -> None:
    assert unpaid_until((o.stated(o.A), 0), (o.captured(), 0)) is None


def test_each_authorisation_keeps_the_order_seven_days_by_our_clock() -> None:
    assert unpaid_until((o.authorized(), 1), (o.authorized(payment_id="P-2"), 0)) == 8 * o.DAY
    early = o.authorized()
    assert unpaid_until((early, 1), (o.stated(o.A), 2)) == 8 * o.DAY


def test_a_void_ends_what_its_payment_granted_and_leaves_two_hours() -> None:
    assert unpaid_until((o.authorized(), 0), (o.voided(), 4)) == 4 * o.DAY + 2 * o.HOUR
    two = (o.authorized(payment_id="P-1"), 0), (o.authorized(payment_id="P-2"), 1)
    assert unpaid_until(*two, (o.voided("P-1"), 2)) == 8 * o.DAY
    assert unpaid_until(*two, (o.voided("P-2"), 2)) == 7 * o.DAY


def test_a_payment_voided_and_authorised_again_keeps_the_order() -> None:
    assert unpaid_until((o.authorized(), 0), (o.voided(), 1), (o.authorized(), 2)) == 9 * o.DAY


def test_the_last_void_counts_also_of_an_authorisation_that_nobody_knows() -> None:
    assert unpaid_until((o.voided("P-1"), 1), (o.voided("P-2"), 2)) == 2 * o.DAY + 2 * o.HOUR


# Arrival ------------------------------------------------------------------------------------------


def test_payments_that_came_before_the_order_count_like_those_after_it() -> None:
    version, capture = o.stated(o.TELEVISION, o.A), o.captured(750)
    assert line_standings(o.fold(version, capture), {}) == line_standings(o.fold(capture, version), {})


def test_an_order_known_by_payments_alone_has_no_standings() -> None:
    order = o.fold(o.captured(), o.refunded(100), o.authorized())
    assert (line_standings(order, {}), order.version, order.certificate_lines) == ({}, 0, 0)


def test_what_may_have_been_dropped_before_the_order_was_known_is_told_with_each_line() -> None:
    order = apply(None, o.stated(o.A, version=3), o.NOON, earlier_payments_unknown=True)
    assert line_standings(o.fold(o.captured(10), order=order), {})[1].earlier_payments_unknown
    assert not line_standings(o.fold(o.stated(o.A)), {})[1].earlier_payments_unknown


# Size ---------------------------------------------------------------------------------------------


def many_captures(count: int) -> list[m.PaymentCaptured]:
    return [o.captured(1, f"P-{nth}", capture_id=f"K-{nth}") for nth in range(count)]


def test_an_order_of_too_many_payments_is_too_large_and_counts_the_rest() -> None:
    order = o.fold(o.stated(o.A), *many_captures(MOST_PAYMENTS))
    assert (order.size_exceeded, order.payment_count) == (False, MOST_PAYMENTS)
    order = o.fold(o.captured(1, "beyond"), o.refunded(1), order=order)
    assert (order.size_exceeded, order.payment_count) == (True, MOST_PAYMENTS + 2)
    assert (len(order.captures), len(order.refunds)) == (MOST_PAYMENTS, 0)


@pytest.mark.timeout(20)
def test_an_order_of_20_000_lines_is_too_large_and_does_not_hang() -> None:
    lines = [o.gift(f"{nth:05}") for nth in range(20_000)]
    order = o.fold(
        o.captured(1_000),
        o.stated(*lines),
        o.stated(*lines[1:], version=2),
        o.captured(),
        o.cancelled("00007", version=3),
    )
    assert (order.size_exceeded, order.certificate_lines) == (True, 20_000)
    assert order.lines[-1].certificates == ("certificate-19999",)


@pytest.mark.timeout(20)
def test_a_thousand_certificates_and_20_000_lines_of_goods_are_decided_on() -> None:
    gifts = [o.gift(f"g{nth:05}", 5) for nth in range(MOST_CERTIFICATE_LINES)]
    lines = o.stated(*gifts, *(o.goods(f"{nth:05}", 1) for nth in range(20_000)))
    order = o.fold(
        lines, o.captured(25_000), o.returned("g00001", "00001"), *(o.refunded(7) for _ in range(3))
    )
    assert not order.size_exceeded
    assert sum(one.is_paid for one in line_standings(order, {}).values()) == MOST_CERTIFICATE_LINES - 1


# Storage ------------------------------------------------------------------------------------------


def test_an_order_is_stored_and_read_without_loss() -> None:
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Order).decode
    messages = (
        o.authorized(),
        o.captured(300, to={"2": 100}),
        o.stated(o.TELEVISION, o.A, o.B, total=1_000),
        o.captured(700, "P-2"),
        o.captured(80, "P-3", currency="EUR"),
        o.stated(o.A, o.gift("9", certificate="certificate-3"), version=2),
        o.returned("2", version=3),
        o.cancelled("9", version=3),
        o.stated(o.TELEVISION, o.A, version=4),
        o.refunded(400, "r-1", to={"2": 100}),
        o.share(2, 100),
        o.voided(),
    )
    order: Order | None = None
    for message in messages:
        order = apply(order, message, LATER)
        assert decode(encode(order)) == order
        order = decode(encode(order))
    assert order == o.fold(*messages, now=LATER)
    assert all(novelty(order, message) is Novelty.REPEAT for message in messages)

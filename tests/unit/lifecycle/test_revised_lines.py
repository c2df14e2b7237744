"""What news of an order means for its lines: who is named, who is signalled of what; no database."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import uuid4

import pytest

from giftcert.domain.clients import Recipient
from giftcert.domain.order import messages as m
from giftcert.domain.order import state
from giftcert.domain.order.order import Order
from giftcert.domain.order.standing import CountedMoney
from giftcert.lifecycle.order_changes import (
    LineRevision,
    OrderChange,
    is_certificate_id,
    revised_lines,
    wakes_of,
)
from giftcert.storage.order_lines import LineKey, OrderLineRow
from giftcert.temporal.signals import Signal, Wake
from tests.unit.domain.order import orders as o

A, B = "certificate-2", "certificate-3"
TWO = o.stated(o.A, o.B)
ANNA, BEN = Recipient("anna"), Recipient("ben")


def revised(
    *said: m.OrderMessage,
    before: Order | None = None,
    rows: Mapping[LineKey, OrderLineRow] | None = None,
    ours: Collection[str] = (A, B),
    erased: Collection[str] = (),
    recipients: Mapping[int, Recipient | None] | None = None,
) -> tuple[Order, list[LineRevision]]:
    """Return an order after one more batch, and its lines that stand otherwise."""
    order = o.fold(*said, order=before)
    change = OrderChange(order=order, said=said, recipients=recipients or {})
    return order, list(revised_lines(change, rows or {}, ours, erased, o.POLICY))


def stored(revisions: list[LineRevision]) -> dict[LineKey, OrderLineRow]:
    return {one.line.key: one.line for one in revisions}


def signals(revisions: list[LineRevision]) -> list[list[Signal]]:
    return [[kind for kind, _ in one.to_decide] for one in revisions]


# What is to be decided ----------------------------------------------------------------------------


def test_each_line_of_a_new_order_is_decided_on_with_the_newest_message_of_each_kind() -> None:
    first, second = o.captured(500), o.captured(500, "P-2")
    _, lines = revised(TWO, first, o.authorized(1, "P-3"), second)
    assert [one.line.standing.line_id for one in lines] == ["2", "3"]
    for one in lines:
        assert one.to_decide == (
            (Signal.ORDER_CREATED, TWO.cause),
            (Signal.PAYMENT_CAPTURED, second.cause),
        )


@pytest.mark.parametrize(
    ("message", "signal"),
    [
        (o.stated(o.A, o.gift("3", 400), version=2), Signal.ORDER_CHANGED),
        (o.cancelled("3"), Signal.ORDER_CANCELLED),
        (o.returned("3"), Signal.ORDER_RETURNED),
        (o.refunded(10, to={"3": 10}), Signal.PAYMENT_REFUNDED),
        (o.captured(10, "P-2", to={"3": 10}), Signal.PAYMENT_CAPTURED),
    ],
)
def test_a_line_that_changes_is_signalled_what_happened_and_others_are_left_alone(
    message: m.OrderVersion | m.Payment, signal: Signal
) -> None:
    order, lines = revised(TWO, o.captured(1_000))
    _, changed = revised(message, before=order, rows=stored(lines))
    assert [(one.line.standing.line_id, one.to_decide) for one in changed] == [
        ("3", ((signal, message.cause),))
    ]


def test_kinds_stand_in_the_order_in_which_each_last_came() -> None:
    order, lines = revised(TWO)
    batch = (o.captured(500), o.refunded(100), o.captured(200, "P-2"))
    _, changed = revised(*batch, before=order, rows=stored(lines))
    assert signals(changed)[0] == [Signal.PAYMENT_REFUNDED, Signal.PAYMENT_CAPTURED]


def test_what_a_person_decided_has_no_record_as_its_cause() -> None:
    order, lines = revised(TWO, o.captured(1_000), o.refunded(500, "r-1"))
    _, changed = revised(o.share(1, 500), before=order, rows=stored(lines))
    assert [one.to_decide for one in changed] == 2 * [((Signal.REQUEST_DECIDED, None),)]


def test_a_newer_version_that_says_the_same_changes_no_line() -> None:
    order, lines = revised(TWO)
    same = o.stated(o.A, o.B, version=2)
    assert revised(same, before=order, rows=stored(lines))[1] == []


def test_an_authorisation_moves_the_unpaid_deadline_and_wakes_nobody_and_its_void_does() -> None:
    order, lines = revised(TWO)
    order, granted = revised(o.authorized(500), before=order, rows=stored(lines))
    assert [one.line.unpaid_until for one in granted] == 2 * [o.NOON + o.POLICY.unpaid_after_authorization]
    assert signals(granted) == [[], []]
    void, again = o.voided(), o.authorized(500, "P-2")
    _, ended = revised(void, before=order, rows=stored(granted))
    assert [one.line.unpaid_until for one in ended] == 2 * [o.NOON + o.POLICY.unpaid_after_void]
    assert [one.to_decide for one in ended] == 2 * [((Signal.PAYMENT_VOIDED, void.cause),)]
    _, both = revised(void, again, before=order, rows=stored(lines))
    assert signals(both) == 2 * [[Signal.PAYMENT_VOIDED]]


def test_an_order_that_is_too_large_leaves_its_lines_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_CERTIFICATE_LINES", 1)
    assert revised(TWO)[1] == []


# Who is named -------------------------------------------------------------------------------------


def test_a_line_names_all_of_ours_that_it_ever_named_the_newest_last() -> None:
    order, lines = revised(TWO)
    assert [(one.line.named, one.line.speaker) for one in lines] == [((A,), A), ((B,), B)]
    other = o.stated(o.gift("2", certificate="other"), o.B, version=2)
    _, [changed] = revised(other, before=order, rows=stored(lines), ours=(A, B, "other"))
    assert (changed.line.named, changed.line.speaker) == ((A, "other"), "other")
    _, [unknown] = revised(other, before=order, rows=stored(lines))
    assert (unknown.line.named, unknown.line.speaker) == ((A,), None)


def test_a_line_that_names_an_earlier_one_again_names_each_once() -> None:
    other, back = o.stated(o.gift("2", certificate="other"), version=2), o.stated(o.A, version=3)
    _, [line] = revised(o.stated(o.A), other, back, ours=(A, "other"))
    assert (line.line.named, line.line.speaker) == (("other", A), A)


def test_money_that_was_counted_of_another_order_is_not_this_one_s() -> None:
    refund = o.refunded(500, "r-1")
    _, [line, _] = revised(TWO, o.captured(1_000), refund)
    elsewhere = replace(
        line.line,
        standing=replace(line.line.standing, order_id="IM-2"),
        counted=CountedMoney(captured=500, refunds=(("r-1", "RUB", 500),)),
    )
    beside = revised(TWO, o.captured(1_000), refund, rows={elsewhere.key: elsewhere})[1]
    assert [o.possible(one.line.standing) for one in beside] == [500, 500]


def test_certificates_imported_since_are_told_of_the_order_that_named_them() -> None:
    order, lines = revised(TWO, ours=(A,))
    _, [known] = revised(before=order, rows=stored(lines))
    assert (known.line.named, known.line.speaker) == ((B,), B)
    assert known.to_decide == ((Signal.ORDER_CHANGED, TWO.cause),)
    replaced = o.stated(o.A), o.stated(o.gift("2", certificate="unknown"), version=2)
    order, lines = revised(*replaced, ours=())
    _, [known] = revised(before=order, rows=stored(lines), ours=(A,))
    assert (known.line.named, known.line.speaker) == ((A,), None)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("01890000-0000-7000-8000-0000000000ab", True),
        ("01890000-0000-7000-8000-0000000000AB", False),
        ("0189000000007000800000000000000a", False),
        ("certificate-1", False),
    ],
)
def test_a_certificate_id_is_a_uuid_as_we_write_it(text: str, is_one: bool) -> None:
    assert is_certificate_id(text) is is_one


# For whom it is -----------------------------------------------------------------------------------


def test_a_line_is_for_whom_the_newest_version_says_and_keeps_that_where_it_says_nothing() -> None:
    order, lines = revised(TWO, recipients={1: ANNA, 2: BEN})
    assert [one.line.recipient for one in lines] == [ANNA, BEN]
    newer = o.stated(o.A, o.B, version=2)
    _, [changed] = revised(newer, before=order, rows=stored(lines), recipients={1: None})
    assert (changed.line.standing.line_id, changed.line.recipient) == ("2", None)


def test_of_a_buyer_who_is_erased_nothing_is_kept_of_whom_it_is_for() -> None:
    order, lines = revised(TWO, recipients={1: ANNA})
    _, [changed] = revised(o.stated(o.A, o.B, version=2), before=order, rows=stored(lines), erased=("C-77",))
    assert (changed.line.standing.line_id, changed.line.recipient) == ("2", None)
    assert [one.line.recipient for one in revised(TWO, recipients={1: ANNA}, erased=("C-1",))[1]] == [
        ANNA,
        None,
    ]


# Signals ------------------------------------------------------------------------------------------


def test_whoever_is_or_was_named_and_the_holder_get_one_signal_of_each_kind() -> None:
    capture = o.captured(500)
    _, lines = revised(o.stated(o.A), capture)
    held = replace(lines[0].line, named=("old", A), holder=A)
    lines = [replace(lines[0], line=held), replace(lines[0], line=replace(held, holder="holder"))]
    wakes = wakes_of(lines, {A: "GC-5000"})
    assert [(wake.certificate_id, wake.signal) for wake in wakes] == [
        (one, kind)
        for one in ("old", A, "holder")
        for kind in (Signal.ORDER_CREATED, Signal.PAYMENT_CAPTURED)
    ]
    assert wakes[3] == Wake(
        certificate_id=A,
        signal=Signal.PAYMENT_CAPTURED,
        channel="im",
        product="GC-5000",
        order_id=o.ORDER,
        cause=capture.cause.event_id,
    )
    assert wakes[0].product is None


def test_a_signal_of_what_a_person_decided_names_no_event() -> None:
    _, lines = revised(o.stated(o.A))
    [wake] = wakes_of([replace(lines[0], to_decide=((Signal.REQUEST_DECIDED, None),))], {})
    assert wake.cause is None


def test_ids_that_are_made_anew_are_certificate_ids() -> None:
    assert is_certificate_id(str(uuid4()))

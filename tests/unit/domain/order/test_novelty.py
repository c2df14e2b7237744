"""Which messages are new to an order: repeats, stale and equal versions, contradictions."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftcert.domain.order import messages as m
from giftcert.domain.order.novelty import Novelty, novelty
from giftcert.domain.order.order import apply
from giftcert.domain.order.standing import Withdrawal
from tests.unit.domain.order import orders as o
from tests.unit.domain.profiles import searched

LATER = o.NOON + o.HOUR


def test_the_first_message_of_an_order_is_new_whatever_it_is() -> None:
    for message in (o.stated(o.A, version=3), o.captured(), o.cancelled(version=7), o.refunded()):
        assert novelty(None, message) is Novelty.NEW
        assert apply(None, message, o.NOON).revision == 1


EACH = [
    o.stated(o.TELEVISION, o.A, version=2),
    o.cancelled("2"),
    o.returned("2", version=4),
    o.authorized(),
    o.captured(to={"2": 300, "1": 200}),
    o.voided(),
    o.refunded(to={"2": 300, "1": 200}),
    o.share(1, 300),
]


@pytest.mark.parametrize("message", EACH, ids=lambda message: type(message).__name__)
def test_the_same_under_another_event_id_is_a_repeat_and_changes_nothing(message: m.OrderMessage) -> None:
    order = o.fold(o.stated(o.A), message)
    again = message
    if not isinstance(message, m.RefundShareDecided):
        again = replace(message, cause=replace(message.cause, event_id="another"))
    assert novelty(order, again) is Novelty.REPEAT
    assert apply(order, again, LATER) is order


def test_a_repeat_may_come_after_newer_versions() -> None:
    first = o.stated(o.A)
    order = o.fold(first, o.stated(o.A, o.B, version=2), o.cancelled("3", version=3))
    assert novelty(order, first) is Novelty.REPEAT


@pytest.mark.parametrize(
    ("message", "other"),
    [
        (o.stated(o.A), {"total": 501}),
        (o.stated(o.A), {"lines": (replace(o.A, amount=400),)}),
        (o.stated(o.A), {"channel": "pos"}),
        (o.stated(o.A), {"customer_id": "C-78"}),
        (o.stated(o.A), {"currency": "EUR"}),
        (o.stated(o.A), {"recipients_digest": "another"}),
        (o.cancelled("2"), {"line_ids": ("3",)}),
        (o.cancelled("2"), {"line_ids": None}),
        (o.cancelled("2"), {"certificates": (("2", "another"),)}),
        (o.cancelled("2"), {"channel": "pos"}),
        (o.returned("2"), {"line_ids": ("2", "3")}),
        (o.captured(capture_id="K"), {"amount": 501}),
        (o.captured(capture_id="K"), {"tender": "giftCertificate"}),
        (o.captured(capture_id="K"), {"currency": "EUR"}),
        (o.captured(capture_id="K"), {"cause": o.cause("All_Payments", channel="pos")}),
        (o.captured(capture_id="K"), {"allocations": (m.Allocation("2", 1),)}),
        (o.refunded(), {"amount": 499}),
        (o.authorized(), {"amount": 499}),
        (o.voided(), {"amount": 499}),
    ],
)
def test_the_same_identity_with_other_content_contradicts(
    message: m.OrderMessage, other: dict[str, object]
) -> None:
    order = o.fold(message)
    contradicting = replace(message, **other)  # type: ignore[arg-type]
    assert novelty(order, contradicting) is Novelty.CONTRADICTION
    assert apply(order, contradicting, LATER) is order


@pytest.mark.parametrize(
    ("message", "identity", "content"),
    [
        (o.stated(o.TELEVISION, o.A), "7ccd39b184ad66841862feee", "4fe90ac39b17cd04"),
        (o.cancelled(), "ed8a667b4f03765155a3dc7f", "73a7e786909b7e97"),
        (o.cancelled("3", "2", certificates={"2": "C"}), "ed8a667b4f03765155a3dc7f", "9d1922463396bb02"),
        (o.returned("3", "2"), "2e5887c9d16574b928b3c558", "5663d1511a205ae8"),
        (o.captured(capture_id="K", to={"3": 200, "2": 300}), "cf9636193e41daf5bfa0af7e", "dd1e0362c87201b6"),
        (replace(o.authorized(), capture_id=None), "b85f6ef043cd08bd0ffa5b30", "8d14a454aaa43755"),
        (o.refunded(500, "r-1"), "a541db6baca49cd6ea0c2c89", "8d14a454aaa43755"),
        (o.share(1, 300), "8ca47f6c69c3e42ff647c359", "ace859c4411f8b10"),
    ],
)
def test_what_an_order_remembers_of_a_message_is_the_same_in_every_release(
    message: m.OrderMessage, identity: str, content: str
) -> None:
    """Orders are stored with it: remembered otherwise, a repeat of an older message would be news or contradict it."""
    assert o.fold(message).contents == {bytes.fromhex(identity): bytes.fromhex(content)}


def test_lines_and_allocations_in_another_order_are_the_same_content() -> None:
    version, capture = o.stated(o.TELEVISION, o.A), o.captured(750, to={"1": 250, "2": 500})
    order = o.fold(version, capture)
    assert novelty(order, replace(version, lines=version.lines[::-1])) is Novelty.REPEAT
    assert novelty(order, replace(capture, allocations=capture.allocations[::-1])) is Novelty.REPEAT


@pytest.mark.parametrize(
    "message", [o.captured(capture_id="K"), o.refunded(), o.stated(o.A), o.cancelled("2"), o.returned("2")]
)
def test_the_time_of_a_message_is_neither_identity_nor_content(message: m.OrderVersion | m.Payment) -> None:
    again = replace(message, cause=replace(message.cause, occurred_at=LATER))
    assert novelty(o.fold(message), again) is Novelty.REPEAT


def test_without_a_capture_id_amount_and_time_tell_payments_apart() -> None:
    capture = replace(o.captured(capture_id="K"), capture_id=None)
    order = o.fold(capture)
    later = replace(capture, cause=replace(capture.cause, occurred_at=LATER))
    assert novelty(order, capture) is Novelty.REPEAT
    assert novelty(order, later) is Novelty.NEW
    assert novelty(order, replace(capture, amount=501)) is Novelty.NEW
    assert novelty(order, replace(capture, tender="cash")) is Novelty.CONTRADICTION


def test_a_refund_is_known_by_payment_and_refund_id() -> None:
    part = o.refunded(200, "r-1", payment_id="P-1")
    order = o.fold(part)
    assert novelty(order, replace(part, payment_id="P-2")) is Novelty.NEW
    assert novelty(order, replace(part, refund_id="r-2")) is Novelty.NEW


def test_a_version_lower_than_the_last_full_one_is_stale_of_whatever_type() -> None:
    order = o.fold(o.stated(o.A, version=3))
    order = o.fold(o.cancelled("2", version=9), order=order)
    for message in (o.stated(o.B, version=2), o.cancelled(version=2), o.returned("2", version=1)):
        assert novelty(order, message) is Novelty.STALE
        assert apply(order, message, LATER) is order


def test_a_cancellation_mended_late_still_cancels_though_another_came_since() -> None:
    order = o.fold(o.stated(o.A, o.B), o.returned("3", version=3), o.cancelled("2", version=2))
    assert (order.version, [line.withdrawal and line.withdrawal.how for line in order.lines]) == (
        3,
        [Withdrawal.CANCELLED, Withdrawal.RETURNED],
    )


def test_a_cancellation_mended_late_is_stale_once_the_order_was_stated_anew() -> None:
    order = o.fold(o.stated(o.A, o.B), o.stated(o.A, o.B, version=3))
    assert novelty(order, o.cancelled("2", version=2)) is Novelty.STALE
    assert novelty(order, o.stated(o.A, version=2)) is Novelty.STALE


def test_a_version_mended_late_brings_its_lines_less_those_withdrawn_since() -> None:
    late = o.stated(o.A, o.B, o.gift("4"), version=2)
    order = o.fold(o.stated(o.A), o.cancelled("2", "3", version=3), late)
    assert (order.version, order.stated_version) == (3, 2)
    assert [line.withdrawal is not None for line in order.lines] == [True, True, False]
    assert novelty(order, o.returned("4", version=1)) is Novelty.STALE


@st.composite
def told_late(draw: st.DrawFn) -> tuple[list[m.OrderMessage], list[m.OrderMessage]]:
    """Versions in their order; and the same, one of them told only after the withdrawals that follow it."""
    some = st.lists(
        st.sampled_from(
            (o.A, o.B, o.TELEVISION, o.gift("2", certificate="new"), o.gift("5", certificate="certificate-3"))
        ),
        min_size=1,
        unique_by=(lambda line: line.line_id, lambda line: line.certificate_id),
    )
    published: list[m.OrderMessage] = [o.stated(*draw(some))]
    for version in range(2, 2 + draw(st.integers(1, 5))):
        ids = draw(st.lists(st.sampled_from(("1", "2", "3", "5")), unique=True))
        kind = draw(st.sampled_from((o.returned, o.cancelled, None)))
        published.append(kind(*ids, version=version) if kind else o.stated(*draw(some), version=version))
    at = draw(st.integers(0, len(published) - 1))
    after = at + 1
    while after < len(published) and not isinstance(published[after], m.OrderStated):
        after += 1
    return published, [*published[:at], *published[at + 1 : after], published[at], *published[after:]]


@searched(200)
@given(told_late())
def test_what_withdrawals_overtook_ends_as_if_told_in_its_place(
    both: tuple[list[m.OrderMessage], list[m.OrderMessage]],
) -> None:
    in_order, late = both
    found, expected = o.fold(*late), o.fold(*in_order)
    assert replace(found, channel="") == replace(expected, channel="")


@pytest.mark.parametrize(
    ("equal", "how"), [(o.cancelled("2"), Withdrawal.CANCELLED), (o.returned("2"), Withdrawal.RETURNED)]
)
@pytest.mark.parametrize("first", [True, False])
def test_an_equal_version_of_another_type_is_news_in_either_order(
    equal: m.OrderCancelled | m.LinesReturned, how: Withdrawal, *, first: bool
) -> None:
    changed = o.stated(o.TELEVISION, o.A, version=2)
    two = (equal, changed) if first else (changed, equal)
    stood = o.standings(o.stated(o.A), *two)["2"]
    assert stood.withdrawal is not None
    assert (stood.withdrawal.how, stood.listed, stood.listed_in > stood.withdrawal.said_in) == (
        how,
        True,
        False,
    )


def test_created_and_changed_under_one_version_are_two_messages() -> None:
    order = o.fold(o.stated(o.A), o.stated(o.A, o.B, version=1, event_type="order.changed"))
    assert [line.line_id for line in order.lines] == ["2", "3"]


def test_a_cancellation_of_all_holds_for_lines_told_after_it_under_the_same_version() -> None:
    stood = o.standings(o.stated(o.A), o.cancelled(), o.stated(o.A, o.B, version=2))
    assert all(one.withdrawal and one.withdrawal.how is Withdrawal.CANCELLED for one in stood.values())
    stood = o.standings(o.stated(o.A), o.cancelled(), o.stated(o.A, o.B, version=3))
    assert (stood["2"].withdrawal is None, stood["3"].withdrawal is None) == (False, True)


def test_the_newest_word_of_a_person_on_a_refund_and_a_line_stands() -> None:
    order = o.fold(o.stated(o.A), o.captured(), o.refunded(300, "r-1"), o.share(1, 100))
    assert novelty(order, o.share(1, 100)) is Novelty.REPEAT
    assert novelty(order, o.share(1, 300)) is Novelty.NEW
    order = o.fold(o.share(1, 300), order=order)
    assert [one.amount for one in order.shares] == [300]
    assert novelty(order, o.share(1, 100)) is Novelty.NEW


def test_versions_beyond_32_bits_and_ids_of_200_characters_are_what_they_are() -> None:
    version = 2**63 - 1
    line = o.gift("L" * 200, certificate="c" * 200)
    order = o.fold(o.stated(line, version=version))
    assert (order.version, order.lines[0].line_id) == (version, "L" * 200)
    assert novelty(order, o.stated(line, version=version - 1)) is Novelty.STALE


def test_a_message_that_is_new_raises_the_revision_by_one() -> None:
    messages = (o.stated(o.A), o.captured(), o.captured(), o.cancelled(), o.refunded())
    assert o.fold(*messages).revision == len(messages)


def test_a_version_that_comes_late_names_a_line_that_a_newer_cancellation_then_withdraws() -> None:
    late = o.stated(o.gift("2", certificate="another"), version=3)
    order = o.fold(o.stated(o.A), o.cancelled("2", version=4), late)
    (line,) = order.lines
    assert line.certificates == ("certificate-2", "another")
    assert (line.withdrawal and line.withdrawal.said_in) == 4


def test_an_authorisation_and_a_capture_are_two_messages_whatever_they_are_known_by() -> None:
    for known_by in ("K-1", None):
        authorization = replace(o.authorized(500), capture_id=known_by)
        capture = replace(o.captured(500), capture_id=known_by)
        assert novelty(o.fold(authorization), capture) is Novelty.NEW

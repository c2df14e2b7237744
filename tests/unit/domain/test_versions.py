"""Versions of an order: stale ones change nothing, one that was mended and comes late takes its place."""

from hypothesis import given
from hypothesis import strategies as st

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.orders import record_order, withdrawal_of
from giftcert.domain.state import OrderFacts, Status, Withdrawal
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import issued, reserved, sold
from tests.unit.domain.profiles import searched

TWO = (make.gift("2"), make.gift("3"))


def facts_after(*messages: m.OrderMessage) -> OrderFacts:
    facts = OrderFacts(order_id=make.ORDER)
    for message in messages:
        facts = record_order(facts, message)
    return facts


def test_a_full_version_lower_than_the_last_full_one_changes_nothing() -> None:
    newest = facts_after(make.ordered(*TWO, version=3))
    for stale in (make.ordered(version=2), make.cancelled(version=2), make.returned("3", version=3)):
        assert record_order(newest, stale) == newest


def test_a_cancellation_mended_late_still_cancels_though_another_came_since() -> None:
    found = issued(*TWO).tell(make.cancelled("3", version=3))
    assert found.told == []
    assert found.tell(make.cancelled("2", version=2)).told == ["refund.requested"]


def test_a_cancellation_mended_late_is_stale_once_the_order_was_stated_anew() -> None:
    found = issued(*TWO).tell(make.ordered(*TWO, version=3))
    assert found.tell(make.cancelled("2", version=2)).last == ()


def test_a_cancellation_told_before_its_order_is_not_forgotten() -> None:
    for cancelled in (make.cancelled(), make.cancelled("2")):
        found = reserved().tell(cancelled, make.ordered(), make.captured())
        assert found.all(e.Issued) == []
        assert found.only(e.PaymentWithoutCertificateAlerted).reason == "lineWithdrawn"


def test_a_version_mended_late_brings_its_lines_less_those_withdrawn_since() -> None:
    facts = facts_after(
        make.ordered(make.gift("2")),
        make.cancelled("2", "3", version=3),
        make.ordered(*TWO, make.goods("4"), own="3", version=2),
    )
    assert (facts.version, facts.stated_version) == (3, 2)
    assert [withdrawal_of(facts, line) for line in ("2", "3", "4")] == [
        Withdrawal.CANCELLED,
        Withdrawal.CANCELLED,
        None,
    ]


def test_a_price_mended_late_counts_though_another_line_was_cancelled_since() -> None:
    lines = (make.gift("2", 450_000), make.gift("3"))
    found = sold(*TWO).tell(make.captured(450_000), make.cancelled("3", version=3))
    assert found.status == Status.ORDERED
    assert found.tell(make.ordered(*lines, version=2)).status == Status.ISSUED


@st.composite
def told_late(draw: st.DrawFn) -> tuple[list[m.OrderMessage], list[m.OrderMessage]]:
    """Versions in their order; and the same, one of them told only after the withdrawals that follow it."""
    lines = st.lists(
        st.sampled_from((*TWO, make.goods("1"), make.goods("4"))),
        min_size=1,
        unique_by=lambda one: one.line_id,
    )
    told: list[m.OrderMessage] = [make.ordered(*draw(lines), version=1)]
    for version in range(2, 2 + draw(st.integers(1, 5))):
        if draw(st.booleans()):
            told.append(make.ordered(*draw(lines), version=version))
        else:
            ids = draw(st.lists(st.sampled_from(("1", "2", "3", "4")), unique=True))
            told.append(make.cancelled(*ids, version=version))
    at = draw(st.integers(0, len(told) - 1))
    after = at + 1
    while after < len(told) and isinstance(told[after], m.OrderCancelled):
        after += 1
    return told, [*told[:at], *told[at + 1 : after], told[at], *told[after:]]


@searched(300)
@given(told_late())
def test_what_withdrawals_overtook_ends_as_if_told_in_its_place(
    both: tuple[list[m.OrderMessage], list[m.OrderMessage]],
) -> None:
    in_order, late = both
    assert facts_after(*late) == facts_after(*in_order)

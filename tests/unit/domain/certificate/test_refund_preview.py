"""What support reads that a decision would do is what the decision then does."""

from collections.abc import Callable

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.refund_preview import DecisionPreview, preview
from giftcert.domain.certificate.refunds import allowed_decisions
from giftcert.domain.certificate.state import RefundState
from giftcert.domain.certificate.words import RefundReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spent
from tests.unit.domain.certificate.certificates_of_one_order import Together
from tests.unit.domain.certificate.refund_reasons import ASKED, WITH_GOODS
from tests.unit.domain.certificate.test_first_reason import ROWS


def last_of_two() -> Certificate:
    """The other line is known not to be meant, so the refund is this one's whatever is decided."""
    order = Together(make.gift("2"), make.gift("3")).paid().tell(make.refunded())
    order.resolve("3", "reject")
    return order["2"]


def charged_twice() -> Certificate:
    order = Together(make.gift("2"), make.gift("3")).paid()
    return order.tell(make.captured(100_000, "P-9", to={"2": 100_000}), make.refunded(300_000))["2"]


def twice_in_doubt() -> Certificate:
    """Two refunds that name no line: a decision says something of each."""
    order = Together(make.gift("2"), make.gift("3")).paid()
    return order.tell(make.refunded(200_000, "r-1"), make.refunded(100_000, "r-2"))["2"]


OTHERS: list[Callable[[], Certificate]] = [
    last_of_two,
    charged_twice,
    twice_in_doubt,
    lambda: spent(500_000).tell(make.refunded()),
    lambda: spent(100_000).tell(make.returned()),
    lambda: issued().tell(make.refunded(6_000, currency="EUR"), make.refunded(100, to={"2": 100})),
    lambda: issued(*WITH_GOODS).tell(make.refunded(60, currency="EUR", to={"2": 20})),
    lambda: reserved().tell(
        make.ordered(make.gift(amount=450_000)), make.captured(450_000), make.refunded(100_000)
    ),
    lambda: sold().tell(make.captured(300_000), make.refunded(300_000, currency="EUR")),
    lambda: sold().tell(make.captured(300_000), make.refunded(100_000)).wait(make.DAY),
    lambda: sold().tell(make.captured(300_000), make.refunded(400_000, to={"2": 400_000})),
    lambda: sold().tell(make.captured(300_000), make.cancelled()).wait(7 * make.DAY),
]
SALES = [*ASKED.values(), *(begin for begin, _ in ROWS), *OTHERS]


def previews(found: Certificate) -> dict[str, DecisionPreview]:
    state, case = found.world.loaded(found.name), open_case(found)
    return {one.decision: one for one in preview(state, case, found.clock, found.terms)}


def open_case(found: Certificate) -> str:
    return next(case.refund_case_id for sale in found.state.sales for case in sale.cases if case.is_open)


@pytest.mark.parametrize("decision", ["approve", "reject"])
@pytest.mark.parametrize("begin", SALES)
def test_a_decision_does_what_its_preview_says(begin: Callable[[], Certificate], decision: str) -> None:
    found = begin()
    case = open_case(found)
    seen = previews(found).get(decision)
    found.tell(make.resolve(case, decision))
    if seen is None or seen.needs_amount:
        assert found.decision.refusal is not None
        return
    assert found.decision.refusal is None
    resolved = [one for one in found.last if isinstance(one, e.RefundResolved) and one.refund_case_id == case]
    completed = [
        one for one in found.last if isinstance(one, e.RefundCompleted) and one.refund_case_id == case
    ]
    closed = not any(
        one.is_open for sale in found.state.sales for one in sale.cases if one.refund_case_id == case
    )
    assert seen.amount == resolved[0].amount
    assert seen.taken == sum(one.taken for one in completed)
    assert seen.uncovered == max([one.uncovered for one in (*resolved, *completed)])
    assert (seen.balance, seen.status) == (found.state.balance, found.state.shown_status)
    assert seen.is_carried_out == closed


@pytest.mark.parametrize(("reason", "begin"), ASKED.items())
def test_there_is_a_sale_for_each_reason_and_a_preview_for_each_decision(
    reason: RefundReason, begin: Callable[[], Certificate]
) -> None:
    found = begin()
    assert (found.case.state, found.case.reason) == (RefundState.PENDING_DETAILS, reason)
    assert tuple(previews(found)) == allowed_decisions(found.sale)
    assert found.all(e.RefundPendingDetails)[-1].allowed_decisions == allowed_decisions(found.sale)


def test_every_reason_has_its_sale() -> None:
    assert set(ASKED) == set(RefundReason)


def test_that_two_persons_decide_changes_nothing_of_what_is_decided() -> None:
    found = spent(100_000, terms=make.terms(refund_four_eyes_over=1)).tell(make.refunded())
    assert previews(found)["approve"].taken == 400_000


def test_nothing_is_foreseen_of_a_case_that_is_not_known() -> None:
    found = spent(100_000).tell(make.refunded())
    assert list(preview(found.world.loaded(found.name), "another", found.clock, found.terms)) == []
    assert list(preview(found.state, found.case.refund_case_id, found.clock, found.terms)) == []

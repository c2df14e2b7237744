"""The matrix is complete, the core obeys it, and the diagram shows it and nothing that cannot happen."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decide import StatusRefusal
from giftcert.domain.certificate.matrix import MATRIX, Answer, MessageType, cell
from giftcert.domain.certificate.state import Status
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, Message, issued, reserved, sold, spent
from tests.unit.domain.certificate.lifecycle_diagram import drawn
from tests.unit.domain.certificate.lives import Move, led, lives
from tests.unit.domain.profiles import searched

CLASSES: tuple[MessageType, ...] = get_args(m.Message)
DIAGRAM = Path(__file__).parents[4] / "specs" / "diagrams" / "lifecycle.mmd"


def test_no_cell_is_missing() -> None:
    assert set(MATRIX) == {(status, message) for status in Status for message in CLASSES}


def test_every_class_of_message_has_an_example() -> None:
    examples = {type(message) for message in make.a_message_of_each_class()}
    assert examples | {m.LineChanged} == set(CLASSES)


@searched(400)
@given(lives)
def test_a_message_leads_only_to_the_statuses_that_its_cell_names(life: tuple[Move, ...]) -> None:
    for one in led(life).world.decided:
        before = one.before.status
        assert one.decision.state.status in {before, *cell(before, one.message).to}


# Every status, every message ----------------------------------------------------------------------


def expired() -> Certificate:
    return issued().wait(365 * make.DAY)


REACHED: dict[Status, Callable[[], Certificate]] = {
    Status.AVAILABLE: Certificate,
    Status.RESERVED: reserved,
    Status.ORDERED: sold,
    Status.ISSUED: issued,
    Status.PARTIALLY_REDEEMED: lambda: spent(100_000),
    Status.REDEEMED: lambda: spent(500_000),
    Status.REFUNDED: lambda: issued().tell(make.refunded()),
    Status.EXPIRED: expired,
    Status.RETIRED: lambda: reserved().tell(make.retire()),
}


@pytest.mark.parametrize("status", Status)
def test_every_class_of_message_is_answered_in_every_status(status: Status) -> None:
    for message in make.a_message_of_each_class():
        found = REACHED[status]()
        assert found.status == status
        found.tell(message)
        match MATRIX[status, type(message)].answer:
            case Answer.IGNORED:
                assert (found.last, found.decision.refusal) == ((), None)
            case Answer.REFUSED:
                assert (found.last, found.decision.refusal) == ((), StatusRefusal.STATUS_DOES_NOT_ALLOW)
            case Answer.APPLIED:
                assert found.decision.refusal != StatusRefusal.STATUS_DOES_NOT_ALLOW


# Every arrow --------------------------------------------------------------------------------------


def reservation_over() -> Certificate:
    found = reserved()
    found.clock += make.HOUR
    return found


def unpaid_for(hours: int) -> Certificate:
    found = sold()
    found.clock += hours * make.HOUR
    return found


def valid_no_more(found: Certificate) -> Certificate:
    found.clock += 365 * make.DAY
    return found


def given_up(paid: int, *lines: o.OrderLine) -> Certificate:
    """Released unpaid, then paid in part: the goods' money."""
    return sold(*lines).wait(3 * make.DAY).tell(make.captured(paid))


def free(*lines: o.OrderLine) -> Certificate:
    """It costs nothing, and so is issued when it is ordered."""
    return reserved(terms=make.terms(make.FREE)).tell(make.ordered(*lines, make.gift(amount=0)))


def free_and_expired(*messages: Message, held: bool = False) -> Certificate:
    """A purchase of the last minute may still hold some of it."""
    found = free(make.goods())
    found.clock += 365 * make.DAY - make.MINUTE
    if held:
        found.tell(make.hold())
    found.clock += make.HOUR
    return found.tell(INVALID, *messages)


def approved_and_back(spent_before: int, held: int = 0) -> Certificate:
    """A return that was approved before its money, of a certificate that has paid for something."""
    found = spent(spent_before)
    if held:
        found.tell(make.hold(held, "D-2"))
    found.tell(make.returned())
    return found.tell(make.resolve(found.case.refund_case_id))


def hold_over(found: Certificate) -> Certificate:
    """The time of its hold has passed; one is made where there is none."""
    if found.state.held == 0:
        found.tell(make.hold())
    found.clock += make.HOUR
    return found


ORDER, FREE = make.ordered(), make.ordered(make.gift(amount=0))
BOTH, EQUAL = (make.goods(), make.gift()), (make.goods(amount=500_000), make.gift())
REMOVED = make.ordered(make.goods(), own=None, version=2)
UNPAID, INVALID = m.UnpaidDeadlinePassed(), m.ValidityEnded()
# The ids of tests are counted: an unissued certificate's first is its case's, an issued one's its notification's.
APPROVED_UNISSUED, APPROVED = make.resolve("id-1"), make.resolve("id-2")
LATE_REFUND = make.refunded(500_000, at=make.NOON + make.DAY)
ARROWS: list[tuple[Callable[[], Certificate], Message]] = [
    (Certificate, make.reserve()),
    (Certificate, make.retire()),
    (lambda: reservation_over().tell(make.lapsed()), ORDER),
    (lambda: unpaid_for(72).tell(UNPAID), make.captured(100_000)),
    (lambda: unpaid_for(72).tell(UNPAID), make.captured()),
    (reserved, make.given_back()),
    (reservation_over, make.lapsed()),
    (reserved, make.retire()),
    (reserved, ORDER),
    (lambda: reserved(terms=make.terms(make.FREE)), FREE),
    (lambda: reserved().tell(make.captured(), make.refunded()), ORDER),
    (sold, make.cancelled()),
    (lambda: unpaid_for(72), UNPAID),
    (sold, make.captured()),
    (issued, make.refunded()),
    (lambda: approved_and_back(100_000), make.refunded(500_000, "r-1")),
    (lambda: approved_and_back(500_000), make.refunded(500_000, "r-1")),
    (lambda: issued().tell(make.block(), make.refunded()), make.unblock()),
    (lambda: valid_no_more(issued()), INVALID),
    (lambda: valid_no_more(spent(100_000)), INVALID),
    (free_and_expired, make.returned()),
    (lambda: free_and_expired(make.returned(), held=True), make.unhold()),
    (lambda: free_and_expired(make.returned(), held=True), make.hold_lapsed()),
    (lambda: free_and_expired(make.returned(), held=True), make.spending("voided")),
    (lambda: issued().tell(make.hold(500_000)), make.spending(amount=500_000)),
    (lambda: issued().tell(make.hold()), make.spending()),
    (lambda: issued().tell(make.hold(), make.refunded()), make.spending("voided")),
    (lambda: spent(100_000), make.spending("refunded")),
    (lambda: spent(100_000).tell(make.hold(400_000, "D-2")), make.spending("captured", 400_000, "D-2")),
    (lambda: spent(100_000).tell(make.refunded()), make.spending("refunded")),
    (lambda: spent(500_000), make.spending("refunded", 500_000)),
    (lambda: spent(500_000), make.spending("refunded")),
    (lambda: spent(500_000).tell(make.refunded()), make.spending("refunded", 500_000)),
    (lambda: issued().tell(make.hold(), make.refunded()), make.unhold()),
    (lambda: approved_and_back(100_000, held=1).tell(make.refunded()), make.unhold("D-2")),
    (lambda: hold_over(issued()).tell(make.refunded()), make.hold_lapsed()),
    (lambda: hold_over(approved_and_back(100_000, held=1)).tell(make.refunded()), make.hold_lapsed("D-2")),
    (lambda: sold().tell(make.captured(400_000), make.refunded(450_000)), APPROVED_UNISSUED),
    (lambda: sold(*BOTH).tell(make.refunded(1, currency="EUR"), make.captured(750_000)), APPROVED_UNISSUED),
    (lambda: issued().tell(make.block(), make.refunded()), APPROVED),
    (lambda: spent(100_000).tell(make.refunded()), APPROVED),
    (lambda: spent(500_000).tell(make.refunded()), APPROVED),
    (lambda: valid_no_more(issued()).tell(INVALID, make.refunded()), APPROVED),
]


def test_every_arrow_of_the_matrix_occurs() -> None:
    seen = set()
    for begin_with, message in ARROWS:
        found = begin_with()
        before, kind = found.status, type(message) if isinstance(message, m.Message) else m.LineChanged
        seen.add((before, kind, found.tell(message).status))
    named = {(status, message, target) for (status, message), found in MATRIX.items() for target in found.to}
    assert seen == named


# Other orders of the same ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin_with", "message", "status"),
    [
        (lambda: reservation_over().tell(make.lapsed()), make.captured(), Status.AVAILABLE),
        (lambda: given_up(250_000, *BOTH), make.cancelled("1"), Status.ORDERED),
        (lambda: given_up(500_000, *EQUAL), make.cancelled("1"), Status.ISSUED),
        (lambda: sold(*BOTH).tell(make.captured(500_000)), make.cancelled("1"), Status.ISSUED),
        (sold, make.returned(), Status.AVAILABLE),
        (lambda: sold(*BOTH), REMOVED, Status.AVAILABLE),
        (lambda: sold(*BOTH).tell(make.captured(500_000)), make.ordered(version=2), Status.ISSUED),
        (lambda: sold().tell(make.captured(400_000)), make.refunded(400_000), Status.AVAILABLE),
        (lambda: sold().tell(make.refunded(400_000)), make.captured(400_000), Status.AVAILABLE),
        (lambda: issued(*BOTH).tell(LATE_REFUND), make.returned(), Status.REFUNDED),
        (lambda: issued(*BOTH).tell(LATE_REFUND), make.cancelled("2"), Status.REFUNDED),
        (lambda: issued(*BOTH).tell(LATE_REFUND), REMOVED, Status.REFUNDED),
        (free_and_expired, make.cancelled("2"), Status.REFUNDED),
        (free_and_expired, REMOVED, Status.REFUNDED),
    ],
)
def test_what_is_said_in_another_order_leads_there_too(
    begin_with: Callable[[], Certificate], message: Message, status: Status
) -> None:
    assert begin_with().tell(message).status == status


# The diagram --------------------------------------------------------------------------------------


def test_the_diagram_is_that_of_the_matrix() -> None:
    assert drawn() == DIAGRAM.read_text("utf-8")

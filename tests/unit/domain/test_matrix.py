"""The matrix is complete, the core obeys it, and the diagram shows it and nothing that cannot happen."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given

from giftcert.domain import decide as core
from giftcert.domain import lifecycle
from giftcert.domain import messages as m
from giftcert.domain.lifecycle import MATRIX, MessageType, Rule, cell
from giftcert.domain.state import Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, issued, reserved, sold, spent
from tests.unit.domain.lives import Move, lives, message_of
from tests.unit.domain.profiles import searched

CLASSES: tuple[MessageType, ...] = get_args(m.Message)
DIAGRAM = Path(__file__).parents[3] / "specs" / "diagrams" / "lifecycle.mmd"


def test_no_cell_is_missing() -> None:
    assert set(MATRIX) == {(status, message) for status in Status for message in CLASSES}


def test_every_rule_has_a_function_and_every_function_a_cell() -> None:
    assert set(core._RULES) == set(Rule) == {found.rule for found in MATRIX.values()}


def test_every_class_of_message_has_an_example() -> None:
    assert {type(message) for message in make.a_message_of_each_class()} == set(CLASSES)


@searched(400)
@given(lives)
def test_a_message_leads_only_to_the_statuses_that_its_cell_names(life: tuple[Move, ...]) -> None:
    found = Certificate()
    for step in life:
        message = message_of(found, step)
        if message is None:
            continue
        before, allowed = found.status, cell(found.status, message)
        found.tell(message)
        assert found.status in {before, *allowed.to}


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
        match MATRIX[status, type(message)].rule:
            case Rule.IGNORED:
                assert found.last == ()
            case Rule.UNEXPECTED:
                assert found.told == ["error.unexpectedEvent"]
                assert found.status == status


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


def given_up(paid: int, *lines: m.Line) -> Certificate:
    """Released unpaid, then paid in part: the goods' money."""
    return sold(*lines).wait(3 * make.DAY).tell(make.captured(paid))


def in_doubt(*messages: m.Message) -> Certificate:
    """Two certificates in one order, and half of the money back without a word for which."""
    found = sold(make.gift("2"), make.gift("3"))
    return found.tell(*messages, make.refunded(500_000, "r-1"))


def free_and_expired(*messages: m.Message, held: bool = False) -> Certificate:
    """It cost nothing; a purchase of the last minute may still hold some of it."""
    found = reserved().tell(make.ordered(make.goods(), make.gift(amount=0)))
    found.clock += 365 * make.DAY - make.MINUTE
    if held:
        found.tell(make.hold(until=found.clock + make.HOUR))
    found.clock += make.HOUR
    return found.tell(INVALID, *messages)


def hold_over() -> Certificate:
    found = issued().tell(make.hold())
    found.clock += make.HOUR
    return found


ORDER, FREE = make.ordered(), make.ordered(make.gift(amount=0))
BOTH, EQUAL = (make.goods(), make.gift()), (make.goods(amount=500_000), make.gift())
REMOVED = make.ordered(make.goods(), own=None, version=2)
UNPAID, INVALID = m.UnpaidDeadlinePassed(key="unpaid"), m.ValidityEnded(key="validity")
REFUND, BOTH_PAID = make.refunded(500_000, "r-1"), make.captured(1_000_000)
# The ids of tests are counted: an unissued certificate's first is its case's, an issued one's its notification's.
APPROVED_UNISSUED, APPROVED = make.resolve("id-1"), make.resolve("id-2")
LATE_REFUND = make.refunded(500_000, at=make.NOON + make.DAY)
ARROWS: list[tuple[Callable[[], Certificate], m.Message]] = [
    (Certificate, make.reserve()),
    (Certificate, make.retire()),
    (lambda: reservation_over().tell(make.lapsed()), ORDER),
    (lambda: reservation_over().tell(make.lapsed()), FREE),
    (lambda: given_up(250_000, *BOTH), make.cancelled("1")),
    (lambda: given_up(500_000, *EQUAL), make.cancelled("1")),
    (lambda: unpaid_for(72).tell(UNPAID), make.captured(100_000)),
    (lambda: unpaid_for(72).tell(UNPAID), make.captured()),
    (reserved, make.given_back()),
    (reservation_over, make.lapsed()),
    (reserved, make.retire()),
    (reserved, ORDER),
    (reserved, FREE),
    (lambda: reserved().tell(make.captured(), make.refunded()), ORDER),
    (sold, make.cancelled()),
    (lambda: sold(*BOTH).tell(make.captured(500_000)), make.cancelled("1")),
    (sold, make.returned()),
    (
        lambda: sold(*BOTH, make.gift("3")).tell(
            make.refunded(250_000), make.captured(750_000, to={"1": 250_000, "2": 500_000})
        ),
        make.returned("1"),
    ),
    (lambda: sold(*BOTH), REMOVED),
    (lambda: sold(*BOTH).tell(make.captured(500_000)), make.ordered(version=2)),
    (lambda: unpaid_for(72), UNPAID),
    (sold, make.captured()),
    (lambda: sold().tell(make.captured(400_000)), make.refunded(400_000)),
    (lambda: sold().tell(make.refunded(400_000)), make.captured(400_000)),
    (issued, make.refunded()),
    (lambda: issued().tell(make.refunded(600_000)), make.captured(100_000)),
    (lambda: issued(*BOTH).tell(LATE_REFUND), make.returned()),
    (lambda: issued(*BOTH).tell(LATE_REFUND), make.cancelled("2")),
    (lambda: issued(*BOTH).tell(LATE_REFUND), REMOVED),
    (lambda: issued().tell(make.block(), make.refunded()), make.unblock()),
    (lambda: valid_no_more(issued()), INVALID),
    (lambda: valid_no_more(spent(100_000)), INVALID),
    (free_and_expired, make.returned()),
    (free_and_expired, make.cancelled("2")),
    (free_and_expired, REMOVED),
    (lambda: free_and_expired(make.returned(), held=True), make.unhold()),
    (lambda: free_and_expired(make.returned(), held=True), make.hold_lapsed()),
    (lambda: free_and_expired(make.returned(), held=True), make.spending("payment.voided")),
    (lambda: issued().tell(make.hold(500_000)), make.spending(amount=500_000)),
    (lambda: issued().tell(make.hold()), make.spending()),
    (lambda: issued().tell(make.hold(), make.refunded()), make.spending("payment.voided")),
    (lambda: spent(100_000), make.spending("payment.refunded")),
    (
        lambda: spent(100_000).tell(make.hold(400_000, "D-2")),
        make.spending("payment.captured", 400_000, "D-2"),
    ),
    (lambda: spent(100_000).tell(make.refunded()), make.spending("payment.refunded")),
    (lambda: spent(500_000), make.spending("payment.refunded", 500_000)),
    (lambda: spent(500_000), make.spending("payment.refunded")),
    (lambda: spent(500_000).tell(make.refunded()), make.spending("payment.refunded", 500_000)),
    (lambda: issued().tell(make.hold(), make.refunded()), make.unhold()),
    (lambda: hold_over().tell(make.refunded()), make.hold_lapsed()),
    (lambda: in_doubt(make.captured(1_000_000)), make.assigned("r-1", "2", 500_000)),
    (
        lambda: sold(make.gift("2"), make.gift("3")).tell(REFUND, BOTH_PAID),
        make.assigned("r-1", "3", 500_000),
    ),
    (lambda: sold().tell(make.captured(400_000), make.refunded(450_000)), APPROVED_UNISSUED),
    (
        lambda: sold(*BOTH).tell(make.refunded(1, currency="EUR"), make.captured(750_000)),
        APPROVED_UNISSUED,
    ),
    (lambda: issued().tell(make.block(), make.refunded()), APPROVED),
    (lambda: spent(100_000).tell(make.refunded()), APPROVED),
    (lambda: spent(500_000).tell(make.refunded()), APPROVED),
    (lambda: valid_no_more(issued()).tell(INVALID, make.refunded()), APPROVED),
]


def test_every_arrow_of_the_matrix_occurs() -> None:
    seen = set()
    for begin, message in ARROWS:
        found = begin()
        before = found.status
        seen.add((before, type(message), found.tell(message).status))
    named = {(status, message, target) for (status, message), found in MATRIX.items() for target in found.to}
    assert seen == named


# The diagram --------------------------------------------------------------------------------------


def test_the_diagram_is_that_of_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(lifecycle.__file__, run_name="__main__")
    assert capsys.readouterr().out == DIAGRAM.read_text("utf-8")

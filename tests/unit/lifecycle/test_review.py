"""One look at a locked certificate: what is decided, in which order, and what is left for later."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import Deadline
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.state import (
    CertificateState,
    Holder,
    Line,
    LineRef,
    RefundCase,
    RefundState,
    Sale,
    Status,
)
from giftcert.domain.clients import Recipient
from giftcert.domain.order.standing import CountedMoney
from giftcert.domain.policy import Policy
from giftcert.lifecycle import review as review_module
from giftcert.lifecycle.release_gate import LONGEST_WAIT, SHORTEST_WAIT, look_again_after
from giftcert.lifecycle.review import SPENDINGS, line_as_seen
from giftcert.storage.certificates import ParkedWork, PendingLine
from giftcert.storage.order_lines import LineReport
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.factories import CERTIFICATE, HOUR, NOON, ORDER
from tests.unit.lifecycle.reviews import allowed, loaded, published, reserved, review_of, rows

NOBODY = "nobody"
UNPAID_AFTER = Policy().unpaid_after_order
Fault = Callable[[type, str], None]


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Have decisions about messages of a kind fail for a certificate."""

    def fail(kind: type, certificate_id: str) -> None:
        def faulty(state: CertificateState, message: m.Message, *more: Any) -> Any:
            if isinstance(message, kind) and state.certificate_id == certificate_id:
                raise KeyError(message)
            return decide(state, message, *more)

        monkeypatch.setattr(review_module, "decide", faulty)

    return fail


# What waits ---------------------------------------------------------------------------------------


def test_a_line_is_decided_as_it_now_stands() -> None:
    found = loaded(lines=rows(make.ordered(), make.captured(750_000)))
    review = review_of(found)
    review.decide_pending()
    assert published(review) == ["issue.ordered", "issue.completed", "notification.requested"]
    assert review.decided == list(found.pending)
    assert review.resolution == "ordered"
    assert not review.is_behind


def test_a_line_is_seen_with_all_that_stands_beside_it() -> None:
    [row] = rows(make.ordered())
    case = RefundCase(refund_case_id="case-1", state=RefundState.REQUESTED, amount=100)
    stored = replace(
        row,
        recipient=Recipient("anna"),
        unpaid_until=NOON,
        speaker=None,
        holder="other",
        holder_status="issued",
        waiters=(CERTIFICATE,),
        counted=CountedMoney(captured=100),
        open_case=msgspec.json.encode(case).decode(),
        report=LineReport(foreign=("P-1 K-1",)),
    )
    assert line_as_seen(stored) == Line(
        standing=row.standing,
        counted=CountedMoney(captured=100),
        holder=Holder("other", Status.ISSUED),
        names_ours=False,
        unpaid_until=NOON,
        open_case=case,
        recipient=Recipient("anna"),
        waiters=(CERTIFICATE,),
        reported=("P-1 K-1",),
    )
    assert line_as_seen(row) == Line(standing=row.standing)


def test_spendings_come_after_lines_in_the_order_of_their_arrival() -> None:
    lines = rows(make.ordered(), make.captured(750_000))
    spent = tuple((f"spent-{nth}", make.spending(amount=nth)) for nth in (2, 1))
    pending = (PendingLine(SPENDINGS, 1), PendingLine(lines[0].key, 2))
    review = review_of(loaded(lines=lines, pending=pending, spendings=spent))
    review.decide_pending()
    assert review.applied == ["spent-2", "spent-1"]
    assert [one.number for one in review.decided] == [1, 2]
    assert published(review)[:3] == ["issue.ordered", "issue.completed", "notification.requested"]
    assert len(published(review)) > 3


def test_a_line_that_is_not_locked_stays_pending_and_forbids_release() -> None:
    review = review_of(loaded(pending=(PendingLine((ORDER, 1), 7),)))
    review.decide_pending()
    assert review.decided == []
    assert review.is_behind


async def test_what_is_behind_is_not_released_whatever_the_gate_says() -> None:
    review = review_of(loaded(pending=(PendingLine((ORDER, 1), 7),)), NOON + HOUR, may_release=allowed)
    review.decide_pending()
    await review.pass_deadlines()
    assert review.state.status is Status.RESERVED
    assert review.look_again is not None


# Deadlines ----------------------------------------------------------------------------------------


async def test_a_deadline_that_has_passed_is_decided() -> None:
    review = review_of(loaded(), NOON + HOUR, may_release=allowed)
    await review.pass_deadlines()
    assert published(review) == ["issue.released"]
    assert review.resolution == "reservationExpired"
    assert review.next_instant is None


async def test_a_deadline_is_due_from_its_very_instant() -> None:
    review = review_of(loaded(), NOON + HOUR / 2, may_release=allowed)
    await review.pass_deadlines()
    assert published(review) == ["issue.released"]


async def test_a_deadline_that_has_not_passed_is_the_next_instant() -> None:
    review = review_of(loaded(lines=rows(make.ordered())), NOON)
    review.decide_pending()
    await review.pass_deadlines()
    assert published(review) == ["issue.ordered"]
    assert review.next_instant == NOON + UNPAID_AFTER


async def test_a_release_that_is_held_back_is_looked_at_again() -> None:
    ordered = review_of(loaded(lines=rows(make.ordered())))
    ordered.decide_pending()
    found = loaded(replace(ordered.state, lines=()), rows(make.ordered(), holder=CERTIFICATE), pending=())
    review = review_of(found, NOON + UNPAID_AFTER + HOUR)
    await review.pass_deadlines()
    assert review.records == []
    assert review.next_instant == NOON + UNPAID_AFTER + HOUR + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("late", "wait"),
    [
        (timedelta(), SHORTEST_WAIT),
        (timedelta(seconds=1), SHORTEST_WAIT),
        (timedelta(seconds=4), timedelta(seconds=2)),
        (timedelta(hours=2), LONGEST_WAIT),
        (timedelta(days=9), LONGEST_WAIT),
    ],
)
def test_the_gate_is_asked_again_after_half_the_time_that_it_is_late(
    late: timedelta, wait: timedelta
) -> None:
    deadline = Deadline(NOON, m.UnpaidDeadlinePassed())
    assert look_again_after(deadline, NOON + late) == wait


async def test_a_deadline_that_stands_still_is_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    def idle(state: CertificateState, _: m.Message, *more: Any) -> Any:
        return decide(state, make.unblock(), *more)

    monkeypatch.setattr(review_module, "decide", idle)
    review = review_of(loaded(), NOON + HOUR, may_release=allowed)
    await review.pass_deadlines()
    [parked] = review.parked
    assert (parked.kind, parked.error) == ("deadline", "StandingStillError")
    assert review.next_instant is None
    assert published(review) == ["error.processingFailed"]


async def test_a_deadline_that_stands_still_behind_one_that_is_held_back_is_parked_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def idle(state: CertificateState, _: m.Message, *more: Any) -> Any:
        return decide(state, make.unblock(), *more)

    monkeypatch.setattr(review_module, "decide", idle)
    case = RefundCase(
        refund_case_id="case-1", state=RefundState.PENDING_DETAILS, amount=100, pending_since=NOON
    )
    past = Sale(order_id=ORDER, line_key=1, line_id="2", amount=100, cases=(case,))
    review = review_of(loaded(replace(reserved(), past_sales=(past,))), NOON + 48 * HOUR)
    await review.pass_deadlines()
    assert [(one.key, one.error) for one in review.parked] == [
        (repr(m.RefundDeadlinePassed("case-1")), "StandingStillError")
    ]
    assert review.look_again is not None


# Faults of ours -----------------------------------------------------------------------------------


def parked_line(revision: int = 1, build: str = "1") -> ParkedWork:
    return ParkedWork(
        kind="line",
        key=ORDER,
        line_key=1,
        revision=revision,
        build=build,
        error="KeyError",
        since=NOON - HOUR,
    )


def test_what_fails_is_parked_and_told_once(fault: Fault) -> None:
    fault(m.LineChanged, CERTIFICATE)
    lines = rows(make.ordered())
    review = review_of(loaded(lines=lines))
    review.decide_pending()
    [parked] = review.parked
    assert parked == ParkedWork(
        kind="line",
        key=ORDER,
        line_key=lines[0].key[1],
        revision=lines[0].standing.revision,
        build="1",
        error="KeyError",
        since=NOON,
    )
    assert published(review) == ["error.processingFailed"]
    assert review.records[0].payload["detail"] == "LineChanged could not be decided: KeyError"
    assert len(review.decided) == 1
    again = review_of(loaded(lines=lines, pending=(), parked=review.parked), NOON + HOUR, build="2")
    again.decide_pending()
    assert published(again) == []
    assert [(one.build, one.since) for one in again.parked] == [("2", NOON)]


@pytest.mark.parametrize(
    ("parked", "build", "retry", "is_tried"),
    [
        (parked_line(), "1", False, False),
        (parked_line(), "1", True, True),
        (parked_line(), "2", False, True),
        (parked_line(revision=0), "1", False, True),
    ],
)
def test_parked_work_is_tried_again_when_that_makes_sense(
    parked: ParkedWork, build: str, retry: bool, is_tried: bool
) -> None:
    [line] = (row for row in rows(make.ordered()) if row.key == (ORDER, parked_key()))
    found = loaded(lines=(line,), pending=(), parked=(replace(parked, line_key=line.key[1]),))
    review = review_of(found, build=build, retry_parked=retry)
    review.decide_pending()
    assert (review.state.status is Status.ORDERED) is is_tried
    assert bool(review.parked) is not is_tried


def parked_key() -> int:
    return rows(make.ordered())[0].key[1]


def test_a_spending_that_fails_is_not_applied_and_keeps_no_other(fault: Fault) -> None:
    fault(m.SpendingReported, CERTIFICATE)
    review = review_of(loaded(spendings=(("spent-1", make.spending()),)))
    review.decide_pending()
    assert review.applied == []
    fault(m.SpendingReported, NOBODY)
    both = (("spent-1", make.spending()), ("spent-2", make.spending()))
    review = review_of(loaded(spendings=both, parked=review.parked))
    review.decide_pending()
    assert review.applied == ["spent-2"]


def test_the_notice_of_what_failed_says_which_record_it_came_with(fault: Fault) -> None:
    fault(m.SpendingReported, CERTIFICATE)
    spending = make.spending()
    review = review_of(loaded(spendings=(("spent-1", spending),)))
    review.decide_pending()
    assert review.records[0].payload == {
        "topic": "All_Payments",
        "partition": None,
        "offset": None,
        "eventId": spending.cause.event_id,
        "reason": "parked",
        "detail": "SpendingReported could not be decided: KeyError",
        "component": "workflow",
    }


async def test_parked_work_forbids_release() -> None:
    review = review_of(loaded(parked=(parked_line(),)), NOON + HOUR, may_release=allowed)
    await review.pass_deadlines()
    assert review.state.status is Status.RESERVED


def test_a_request_that_fails_is_raised(fault: Fault) -> None:
    fault(m.Block, CERTIFICATE)
    with pytest.raises(KeyError):
        review_of(loaded()).decide_request(make.block())


# Requests -----------------------------------------------------------------------------------------


def test_a_request_is_told_with_the_channel_that_it_came_through_else_that_of_the_sale() -> None:
    issued = review_of(loaded(lines=rows(make.ordered(), make.captured(750_000))))
    issued.decide_pending()
    review = review_of(loaded(replace(issued.state, lines=())))
    review.decide_request(make.hold(channel="pos"))
    review.decide_request(m.RequestNotification("support-1"))
    assert [(one.event_type, one.channel) for one in review.records] == [
        ("redemption.authorized", "pos"),
        ("audit.operatorActed", "im"),
        ("notification.requested", "im"),
    ]
    assert review.records[-1].payload["notificationId"] == "id-1"


def test_a_line_of_which_a_decision_says_nothing_stands_as_it_did() -> None:
    """Of a certificate that knows lines of two orders, one order is told what a person decided."""
    published = rows(make.ordered(), make.captured(750_000))
    other = rows(make.ordered(order_id="IM-2"))
    review = review_of(loaded(lines=(*rows(make.ordered()), *other)))
    review.see_standings(published)
    assert [line.standing for line in review.state.lines] == [published[0].standing, other[0].standing]


# What others are told -----------------------------------------------------------------------------


def test_a_line_that_is_taken_is_written_with_its_holder() -> None:
    review = review_of(loaded(lines=rows(make.ordered())))
    review.decide_pending()
    [(line, _)] = review.changed_lines()
    assert line.holder == Holder(CERTIFICATE, Status.ORDERED)
    assert review.freed() == []


def test_waiters_are_told_how_far_the_holder_has_come() -> None:
    ordered = review_of(loaded(lines=rows(make.ordered())))
    ordered.decide_pending()
    lines = tuple(
        replace(row, waiters=("waiter", CERTIFICATE))
        for row in rows(make.ordered(), make.captured(750_000), holder=CERTIFICATE)
    )
    review = review_of(loaded(replace(ordered.state, lines=()), lines))
    review.decide_pending()
    [(line, _)] = review.changed_lines()
    assert line.holder == Holder(CERTIFICATE, Status.ISSUED)
    assert [row.certificate_id for row in review.freed()] == ["waiter"]


def test_whoever_speaks_for_the_line_next_is_told_that_its_holder_let_go() -> None:
    ordered = review_of(loaded(lines=rows(make.ordered())))
    ordered.decide_pending()
    replaced = make.ordered(make.gift(certificate_id="certificate-2"), own=None, version=2)
    lines = rows(make.ordered(), replaced, holder=CERTIFICATE)
    review = review_of(loaded(replace(ordered.state, lines=()), lines))
    review.decide_pending()
    assert published(review) == ["issue.released"]
    assert [row.certificate_id for row in review.freed()] == ["certificate-2"]


def test_a_line_that_no_decision_touched_is_not_written() -> None:
    review = review_of(loaded(lines=rows(make.ordered(), holder="certificate-9"), pending=()))
    review.decide_pending()
    assert review.changed_lines() == []
    assert review.state.line(LineRef(*rows(make.ordered())[0].key)) is not None

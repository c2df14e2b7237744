"""What people of support decide: refunds of certificates that were spent, and blocks."""

from simulators.demo.outcomes import ISSUED
from simulators.demo.play import Play
from simulators.demo.stories.parts import (
    HELD,
    TAKEN,
    refund,
    refused,
    shopping,
    shown_by,
    sold_and_written,
    spend,
)
from simulators.messages import Order, order_returned
from simulators.service import Reservation
from simulators.shop import hold

SPENT = ISSUED.then(HELD, TAKEN, status="partiallyRedeemed", left=300_000)
WAITING = SPENT.then("refund.requested", "refund.pendingDetails certificateRedeemed")


async def spent_and_refunded_approved(play: Play) -> None:
    """Spending stops with the return; support lets the money go, and what was spent of it stays uncovered."""
    outcome = WAITING.then(
        "redemption.rejected refundInProgress",
        "refund.resolved approve",
        "refund.completed",
        "audit.operatorActed",
        status="refunded",
        refund_state="completed",
        left=0,
    )
    reservation, order = await sold_and_written(play, outcome)
    await _spend_some_and_return(play, reservation, order)
    other = shopping(play, 100_000)
    await refused(hold(play.channel, shown_by(play, reservation), other), "refund-in-progress")
    await _decide(play, reservation, "approve", uncovered=200_000)


async def spent_and_refunded_rejected(play: Play) -> None:
    """Support leaves the certificate to its holder, although the money is back; the rest of it is spent."""
    outcome = WAITING.then(
        "refund.resolved reject",
        "refund.completed",
        "audit.operatorActed",
        HELD,
        TAKEN,
        status="redeemed",
        refund_state="rejected",
        left=0,
    )
    reservation, order = await sold_and_written(play, outcome)
    await _spend_some_and_return(play, reservation, order)
    await _decide(play, reservation, "reject", uncovered=500_000)
    await spend(play, shown_by(play, reservation), 300_000)


async def blocked_for_a_while(play: Play) -> None:
    """A client lost the letter: nothing can be spent until support knows more, and CRM writes once more."""
    outcome = ISSUED.then(
        "audit.blocked",
        "audit.operatorActed",
        "redemption.rejected blocked",
        "audit.unblocked",
        "audit.operatorActed",
        "audit.operatorActed",
        "notification.requested",
        HELD,
        TAKEN,
        status="partiallyRedeemed",
        left=300_000,
    )
    reservation, _ = await sold_and_written(play, outcome)
    card, support = shown_by(play, reservation), play.world.support
    await support.block(reservation.certificate_id, "the client lost the letter")
    await refused(hold(play.channel, card, shopping(play, 200_000)), "not-active")
    await support.unblock(reservation.certificate_id, "nobody has found it")
    await support.write_again(reservation.certificate_id)
    await spend(play, card, 200_000)


async def _spend_some_and_return(play: Play, reservation: Reservation, order: Order) -> None:
    await spend(play, shown_by(play, reservation), 200_000)
    await play.until_told(reservation, TAKEN)
    await play.write_order(order_returned(order, (order.certificate_lines[0].line_id,)))
    await play.until_told(reservation, "refund.requested")
    await refund(play, order)
    await play.until_told(reservation, "refund.pendingDetails certificateRedeemed")


async def _decide(play: Play, reservation: Reservation, decision: str, *, uncovered: int) -> None:
    """``uncovered`` is what the money back is worth beyond what the decision takes, in nominal units."""
    case = await play.world.support.case_of(reservation.certificate_id)
    play.world.books.uncovered += uncovered
    await play.world.support.decide(case, decision, "the client and the shop agreed on it")

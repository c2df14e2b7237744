"""Orders that are cancelled, before and after their money came."""

from dataclasses import replace

from simulators.demo.outcomes import ORDERED
from simulators.demo.play import Play
from simulators.demo.stories.parts import REFUNDED, refund, sold_and_written
from simulators.messages import order_cancelled, payment_captured

ORDERED_EVENT = "issue.ordered"


async def cancelled_before_payment(play: Play) -> None:
    """The certificate goes back to the pool."""
    cancelled = ORDERED.then("issue.released orderCancelled", status="available")
    reservation = await play.reserve(cancelled)
    order = play.basket(reservation)
    await play.place(order)
    await play.until_told(reservation, ORDERED_EVENT)  # cancelled sooner, it would never have been ordered
    await play.write_order(order_cancelled(order))


async def paid_after_cancellation(play: Play) -> None:
    """The capture comes too late, nothing is issued, and the money goes back."""
    outcome = ORDERED.then(
        "issue.released orderCancelled", "refund.requested", "refund.completed", status="available"
    )
    reservation = await play.reserve(outcome)
    order = play.basket(reservation)
    await play.place(order)
    await play.until_told(reservation, ORDERED_EVENT)
    await play.write_order(order_cancelled(order))
    await play.until_told(reservation, "issue.released orderCancelled")
    await play.write_payment(payment_captured(order))
    await play.until_told(reservation, "refund.requested")
    await refund(play, order)


async def cancelled_when_partly_paid(play: Play) -> None:
    """Half of the money was taken: the certificate waits until that half is back.

    Where the cancellation is read before the capture, the certificate goes first and the money after it.
    """
    late = ORDERED.then(
        "issue.released orderCancelled", "refund.requested", "refund.completed", status="available"
    )
    refunded = ("refund.requested", "refund.completed", "issue.released refundedBeforeIssue")
    outcome = replace(ORDERED.then(*refunded, status="available"), otherwise=late)
    reservation = await play.reserve(outcome)
    order = play.basket(reservation)
    await play.place(order)
    await play.until_told(reservation, ORDERED_EVENT)
    await play.write_payment(payment_captured(order, amount=order.total // 2))
    await play.write_order(order_cancelled(order))
    await play.until_told(reservation, "refund.requested")
    await refund(play, order, order.total // 2)


async def cancelled_after_payment(play: Play) -> None:
    """The certificate was issued; the order is cancelled and the money sent back."""
    reservation, order = await sold_and_written(play, REFUNDED)
    await play.write_order(order_cancelled(order))
    await play.until_told(reservation, "refund.requested")
    await refund(play, order)

"""Money that goes back after issue: carried out, or waiting for a person."""

from simulators.demo.outcomes import ISSUED
from simulators.demo.play import Play
from simulators.demo.stories.parts import REFUNDED, refund, sold_and_written
from simulators.messages import order_returned, payment_refunded


async def returned_and_refunded(play: Play) -> None:
    """The line is returned, then its money."""
    reservation, order = await sold_and_written(play, REFUNDED)
    await play.write_order(order_returned(order, (order.certificate_lines[0].line_id,)))
    await play.until_told(reservation, "refund.requested")
    await refund(play, order)


async def refunded_alone(play: Play) -> None:
    """The money is back and nobody said why."""
    outcome = ISSUED.then("refund.completed", status="refunded", refund_state="completed")
    _, order = await sold_and_written(play, outcome)
    await refund(play, order)


async def refunded_more_than_captured(play: Play) -> None:
    """Waits for a person: exceedsCaptured."""
    outcome = ISSUED.then("refund.pendingDetails exceedsCaptured", refund_state="pendingDetails")
    _, order = await sold_and_written(play, outcome)
    await refund(play, order, order.total + 100_000)


async def refunded_in_another_currency(play: Play) -> None:
    """Waits for a person: currencyMismatch."""
    outcome = ISSUED.then("refund.pendingDetails currencyMismatch", refund_state="pendingDetails")
    _, order = await sold_and_written(play, outcome)
    line = order.certificate_lines[0]
    await play.write_payment(payment_refunded(order, line, line.amount, currency="EUR"))


async def returned_and_never_refunded(play: Play) -> None:
    """Waits for the money, then for a person: refundPaymentMissing."""
    outcome = ISSUED.then(
        "refund.requested", "refund.pendingDetails refundPaymentMissing", refund_state="pendingDetails"
    )
    _, order = await sold_and_written(play, outcome)
    await play.write_order(order_returned(order, (order.certificate_lines[0].line_id,)))


async def refunded_in_part(play: Play) -> None:
    """Waits for the rest of the money, then for a person: amountMismatch."""
    outcome = ISSUED.then(
        "refund.requested", "refund.pendingDetails amountMismatch", refund_state="pendingDetails"
    )
    _, order = await sold_and_written(play, outcome)
    await refund(play, order, order.total // 2)

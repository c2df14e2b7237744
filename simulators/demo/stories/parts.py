"""What several stories have in common."""

from simulators.demo.outcomes import ISSUED, Outcome
from simulators.demo.play import Play
from simulators.messages import Order, payment_refunded
from simulators.service import Reservation

REFUNDED = ISSUED.then("refund.requested", "refund.completed", status="refunded", refund_state="completed")


async def sold_and_written(play: Play, outcome: Outcome) -> tuple[Reservation, Order]:
    """Sell one certificate, and go on once the client has had the letter."""
    reservation = await play.reserve(outcome)
    order = play.basket(reservation)
    await play.place(order)
    await play.pay(order)
    await play.until_written(reservation)
    return reservation, order


async def refund(play: Play, order: Order, amount: int | None = None) -> None:
    """Send the money of the first certificate line back, all of it unless an amount is given."""
    line = order.certificate_lines[0]
    await play.write_payment(payment_refunded(order, line, line.amount if amount is None else amount))

"""What several stories have in common."""

from collections.abc import Awaitable

from simulators.baskets import goods_for
from simulators.channel import Channel
from simulators.demo.outcomes import ISSUED, Outcome
from simulators.demo.play import PRODUCT, Play
from simulators.messages import Order, order_created, payment_refunded
from simulators.service import RefusedError, Reservation
from simulators.shop import Card, hold, purchase_of
from simulators.tender import Purchase, spending_authorized, spending_captured


class StoryBrokenError(Exception):
    """An answer was not what the contract promises."""


FULL = 500_000
HELD, TAKEN = "redemption.authorized", "redemption.captured"
SHORT_HOLD = 8
"""Seconds: short enough to lapse while others trade, long enough for the answer to come before on a busy machine."""
REFUNDED = ISSUED.then("refund.requested", "refund.completed", status="refunded", refund_state="completed")


async def sold_and_written(play: Play, outcome: Outcome, product: str = PRODUCT) -> tuple[Reservation, Order]:
    """Sell one certificate, and go on once the client has had the letter."""
    reservation = await play.reserve(outcome, product)
    order = play.basket(reservation)
    await play.place(order)
    await play.pay(order)
    await play.until_written(reservation)
    return reservation, order


async def refund(play: Play, order: Order, amount: int | None = None) -> None:
    """Send the money of the first certificate line back, all of it unless an amount is given."""
    line = order.certificate_lines[0]
    await play.write_payment(payment_refunded(order, line, line.amount if amount is None else amount))


def shopping(play: Play, amount: int, shop: Channel | None = None) -> Order:
    """Fill a basket with goods for so much, in the story's own channel if no other is given."""
    at = shop or play.channel
    return goods_for(at.name, play.order_id(at), amount)


def shown_by(play: Play, reservation: Reservation) -> Card:
    """Return number and CVC as the client has them from CRM's letter."""
    letter = play.world.crm.letter_about(reservation.certificate_id)
    return Card(number=letter.number, cvc=letter.cvc)


async def take(play: Play, purchase: Purchase, amount: int | None = None) -> None:
    """Take what is held, or less; a till says so at once, the internet store promises it first."""
    await play.write_order(order_created(purchase.order))
    if purchase.order.channel == "im":
        await play.write_payment(spending_authorized(purchase))
    play.world.books.redeemed += purchase.amount if amount is None else amount
    await play.write_payment(spending_captured(purchase, amount))


async def spend(play: Play, card: Card, amount: int, shop: Channel | None = None) -> Purchase:
    """Hold and take so much for goods."""
    order = shopping(play, amount, shop)
    purchase = purchase_of(order, await hold(shop or play.channel, card, order))
    await take(play, purchase)
    return purchase


async def refused(asked: Awaitable[object], problem: str) -> None:
    """Make sure that the service declines, and why.

    Raises:
        StoryBrokenError: it does not, or says something else.
    """
    try:
        await asked
    except RefusedError as refusal:
        if refusal.problem != problem:
            raise StoryBrokenError(f"{refusal}, not {problem}") from refusal
        return
    raise StoryBrokenError(f"was served, and {problem} was due")

"""Orders that change on their way, that are large, or of which one line comes back."""

import msgspec

from simulators.baskets import certificate_order
from simulators.demo.outcomes import ISSUED, RESERVED, CertificateTells
from simulators.demo.play import PRODUCT, Play
from simulators.demo.stories.parts import REFUNDED, refund
from simulators.messages import Order, order_returned, payment_captured

MOST_LINES = 100
CERTIFICATES_AMONG_THEM = 30
REPLACED = RESERVED.then("issue.ordered", "issue.released lineRemoved", status="available")
REPLACING = RESERVED.then(
    "issue.ordered replacing", "issue.completed", "notification.requested", status="issued"
)


async def hundred_lines(play: Play) -> None:
    """A company orders certificates, all reserved by one call, and goods: as many lines as an order may have."""
    reservations = await play.channel.service.reserve(play.channel.name, PRODUCT, CERTIFICATES_AMONG_THEM)
    for reservation in reservations:
        play.expect(CertificateTells(reservation, ISSUED))
    order = play.basket(*reservations, goods=MOST_LINES - len(reservations))
    await play.place(order)
    await play.pay(order)


async def line_replaced(play: Play) -> None:
    """Half of the money is there when the line gets another certificate: the money stays with the line."""
    first, second = await play.reserve(REPLACED), await play.reserve(REPLACING)
    order = play.basket(first)
    await play.place(order)
    await play.until_told(first, "issue.ordered")  # replaced sooner, it would never have been ordered
    half = order.total // 2
    await play.write_payment(payment_captured(order, amount=half))
    instead = certificate_order(order.order_id, [second])
    await play.change(msgspec.structs.replace(order, lines=instead.lines))
    # The topics are read apart: had the rest overtaken the change, the first would be issued, and rightly so.
    await play.until_told(second, "issue.ordered replacing")
    await play.write_payment(payment_captured(order, amount=order.total - half, capture=2))


async def added_to_what_is_paid(play: Play) -> None:
    """More was paid than the order cost so far; then a second certificate joins it."""
    first, second = await play.reserve(ISSUED), await play.reserve(ISSUED)
    whole = play.basket(first, second, goods=1)
    await play.place(_without(whole, second.certificate_id))
    await play.pay(whole)
    await play.until_told(first, "notification.requested")
    await play.change(whole)


async def added_to_goods(play: Play) -> None:
    """An order of goods is paid, and for a certificate as well; only then the certificate joins it."""
    reservation = await play.reserve(ISSUED)
    whole = play.basket(reservation, goods=2)
    await play.place(_without(whole, reservation.certificate_id))
    await play.pay(whole)
    await play.change(whole)


def _without(order: Order, certificate_id: str) -> Order:
    lines = tuple(line for line in order.lines if line.certificate_id != certificate_id)
    return msgspec.structs.replace(order, lines=lines)


async def one_of_two_returned(play: Play) -> None:
    """One line comes back with its money; the other gift is not touched."""
    returned, kept = await play.reserve(REFUNDED), await play.reserve(ISSUED)
    order = play.basket(returned, kept, goods=1)
    await play.place(order)
    await play.pay(order)
    await play.until_written(returned)
    await play.until_written(kept)
    await play.write_order(order_returned(order, (order.certificate_lines[0].line_id,)))
    await play.until_told(returned, "refund.requested")
    await refund(play, order)

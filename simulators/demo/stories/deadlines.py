"""Reservations, unpaid orders and certificates whose time passes."""

from simulators.demo.outcomes import ISSUED, ORDERED, RESERVED
from simulators.demo.play import BRIEF_VALIDITY, SHORT_RESERVATION, Play
from simulators.demo.stories.parts import sold_and_written
from simulators.messages import payment_captured

LET_GO = RESERVED.then("issue.released reservationExpired", status="available")
UNPAID = ORDERED.then("alert.unpaid", "issue.released unpaid", status="available")
TAKEN_BACK = ("issue.ordered reclaimed", "issue.completed", "notification.requested")


async def reservation_runs_out(play: Play) -> None:
    """Nobody orders what was reserved."""
    await play.reserve(LET_GO, SHORT_RESERVATION)


async def ordered_after_reservation_ran_out(play: Play) -> None:
    """The basket was left for a while; the certificate is still free and comes back to it."""
    reservation = await play.reserve(LET_GO.then(*TAKEN_BACK, status="issued"), SHORT_RESERVATION)
    await play.until_told(reservation, "issue.released reservationExpired")
    order = play.basket(reservation)
    await play.place(order)
    await play.pay(order)


async def given_back_by_the_channel(play: Play) -> None:
    """The customer takes the certificate out of the basket."""
    reservation = await play.reserve(RESERVED.then("issue.released channelReleased", status="available"))
    await play.channel.service.release(reservation.reservation_id)


async def never_paid(play: Play) -> None:
    """The unpaid deadline passes."""
    await play.place(play.basket(await play.reserve(UNPAID)))


async def paid_late(play: Play) -> None:
    """The capture comes after the unpaid deadline, and the certificate is still free."""
    reservation = await play.reserve(UNPAID.then(*TAKEN_BACK, status="issued"))
    order = play.basket(reservation)
    await play.place(order)
    await play.until_told(reservation, "issue.released unpaid")
    await play.write_payment(payment_captured(order))


async def validity_ends(play: Play) -> None:
    """The client has the letter and forgets it: all of it is breakage."""
    outcome = ISSUED.then("audit.expired", status="expired", left=0)
    await sold_and_written(play, outcome, BRIEF_VALIDITY)
    play.world.books.breakage += 300_000

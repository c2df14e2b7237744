"""The same sales, with messages in another order or more than once."""

import asyncio

from simulators.demo.outcomes import ISSUED
from simulators.demo.play import Play


async def paid_before_ordered(play: Play) -> None:
    """The payments are there before the order."""
    order = play.basket(await play.reserve(ISSUED))
    await play.pay(order)
    await play.place(order)


async def delivered_twice(play: Play) -> None:
    """Every message comes again as it was, at once and after the sale is complete."""
    reservation = await play.reserve(ISSUED)
    order = play.basket(reservation)
    await play.place(order)
    await play.pay(order)
    await play.repeat_all(under_new_ids=False)
    await play.until_told(reservation, "notification.requested")
    await play.repeat_all(under_new_ids=False)


async def day_sent_again(play: Play) -> None:
    """A till sends its day once more, each message under a new event id."""
    reservation = await play.reserve(ISSUED)
    order = play.basket(reservation)
    await asyncio.gather(play.place(order), play.capture(order))
    await play.until_told(reservation, "notification.requested")
    await play.repeat_all(under_new_ids=True)

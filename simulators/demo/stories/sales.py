"""How a certificate is sold when all goes well."""

import asyncio
from uuid import uuid4

from simulators.demo.outcomes import ISSUED, CertificateTells
from simulators.demo.play import GIVEN_AWAY, PRODUCT, Play
from simulators.demo.stories.parts import StoryBrokenError


async def sold_online(play: Play) -> None:
    """Ordered, authorised, captured."""
    order = play.basket(await play.reserve(ISSUED))
    await play.place(order)
    await play.pay(order)


async def sold_at_a_till(play: Play) -> None:
    """Order and payment in the same moment."""
    order = play.basket(await play.reserve(ISSUED))
    await asyncio.gather(play.place(order), play.capture(order))


async def sold_among_goods(play: Play) -> None:
    """A certificate at a discount beside two articles, paid together."""
    order = play.basket(await play.reserve(ISSUED), goods=2, discount_percent=10)
    await play.place(order)
    await play.pay(order)


async def sold_three_at_once(play: Play) -> None:
    """Three certificates reserved by one call and sold by one order."""
    reservations = await play.channel.service.reserve(play.channel.name, PRODUCT, 3)
    for reservation in reservations:
        play.expect(CertificateTells(reservation, ISSUED))
    order = play.basket(*reservations)
    await play.place(order)
    await play.pay(order)


async def given_away(play: Play) -> None:
    """A line that costs nothing is paid when it is ordered."""
    await play.place(play.basket(await play.reserve(ISSUED, GIVEN_AWAY), discount_percent=100))


async def reserved_again_under_its_key(play: Play) -> None:
    """The answer to a reservation was lost, so the channel asks again under the same key."""
    key = str(uuid4())
    reservation = await play.reserve(ISSUED, key=key)
    again = await play.channel.reserve(PRODUCT, key)
    if again != reservation:
        raise StoryBrokenError(f"the key gave {again.certificate_id} after {reservation.certificate_id}")
    order = play.basket(reservation)
    await play.place(order)
    await play.pay(order)

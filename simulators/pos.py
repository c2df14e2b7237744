"""The tills of the shops, channel ``pos``: order and payment are made in the same moment.

``python -m simulators.pos --rate 2 --product GC-5000``
"""

import asyncio

from simulators.baskets import certificate_order
from simulators.channel import Channel, run_channel
from simulators.messages import Order


async def ring_up(till: Channel, order: Order) -> None:
    """Write order and payment at once: across the two topics nobody promises which is seen first."""
    await asyncio.gather(till.orders.place(order), till.payments.capture(order))


async def sell_certificate(till: Channel, product: str, order_id: str) -> Order:
    """Sell one certificate over the counter."""
    order = certificate_order(order_id, [await till.reserve(product)])
    await ring_up(till, order)
    return order


if __name__ == "__main__":
    run_channel("pos", __doc__, "pos", sell_certificate, ring_up)

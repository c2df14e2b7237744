"""The tills of the shops, channel ``pos``: order and payment are made in the same moment.

``python -m simulators.pos --rate 2 --product GC-5000``
"""

import argparse
import asyncio

from simulators.addresses import Addresses
from simulators.baskets import certificate_order, goods_order
from simulators.channel import Channel, open_channel
from simulators.messages import Order
from simulators.programs import number_of_run, paced, run

GOODS_ORDERS_PER_SALE = 10
"""Most customers at a till buy no certificate."""


async def ring_up(till: Channel, order: Order) -> None:
    """Write order and payment at once: across the two topics nobody promises which is seen first."""
    await asyncio.gather(till.orders.place(order), till.payments.capture(order))


async def sell_certificate(till: Channel, product: str, order_id: str) -> Order:
    """Sell one certificate over the counter."""
    order = certificate_order(order_id, [await till.reserve(product)])
    await ring_up(till, order)
    return order


async def keep_till(addresses: Addresses, product: str, rate: float, count: int | None) -> None:
    """Sell certificates, so many a second, among ten times as many sales of goods."""
    run_name = number_of_run()
    async with open_channel(addresses, "pos") as till:
        async for number in paced(rate, count):
            order = await sell_certificate(till, product, f"POS-{run_name}-{number}")
            print(f"{order.order_id}: certificate {order.certificate_lines[0].certificate_id}")  # noqa: T201
            for extra in range(GOODS_ORDERS_PER_SALE):
                await ring_up(till, goods_order("pos", f"POS-{run_name}-{number}-G{extra}"))


def main() -> None:
    """Read the options and run until done or interrupted."""
    parser = argparse.ArgumentParser(prog="python -m simulators.pos", description=__doc__)
    parser.add_argument("--rate", type=float, default=1.0, help="certificates a second")
    parser.add_argument("--count", type=int, default=None, help="how many; without it, until interrupted")
    parser.add_argument("--product", default="GC-5000")
    options = parser.parse_args()
    run(keep_till(Addresses.from_environment(), options.product, options.rate, options.count))


if __name__ == "__main__":
    main()

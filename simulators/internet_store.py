"""The internet store, channel ``im``: customers order first and pay a little later.

``python -m simulators.internet_store --rate 2 --product GC-5000``; run ``simulators.payments`` beside it.
"""

import argparse

from simulators.addresses import Addresses
from simulators.baskets import certificate_order, goods_order
from simulators.channel import Channel, open_channel
from simulators.messages import Order
from simulators.programs import number_of_run, paced, run

GOODS_ORDERS_PER_SALE = 10
"""Most baskets hold no certificate."""


async def order_certificate(store: Channel, product: str, order_id: str) -> Order:
    """Reserve a certificate and order it together with an article; whoever pays it comes after."""
    reservation = await store.reserve(product)
    order = certificate_order(order_id, [reservation], goods=1)
    await store.orders.place(order)
    return order


async def keep_shop(addresses: Addresses, product: str, rate: float, count: int | None) -> None:
    """Take orders for certificates, so many a second, among ten times as many for goods."""
    run_name = number_of_run()
    async with open_channel(addresses, "im") as store:
        async for number in paced(rate, count):
            order = await order_certificate(store, product, f"IM-{run_name}-{number}")
            print(f"{order.order_id}: certificate {order.certificate_lines[0].certificate_id}")  # noqa: T201
            for extra in range(GOODS_ORDERS_PER_SALE):
                await store.orders.place(goods_order("im", f"IM-{run_name}-{number}-G{extra}"))


def main() -> None:
    """Read the options and run until done or interrupted."""
    parser = argparse.ArgumentParser(prog="python -m simulators.internet_store", description=__doc__)
    parser.add_argument("--rate", type=float, default=1.0, help="certificates a second")
    parser.add_argument("--count", type=int, default=None, help="how many; without it, until interrupted")
    parser.add_argument("--product", default="GC-5000")
    options = parser.parse_args()
    run(keep_shop(Addresses.from_environment(), options.product, options.rate, options.count))


if __name__ == "__main__":
    main()

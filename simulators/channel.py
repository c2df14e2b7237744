"""A sales channel: it reserves certificates over HTTP and has its orders and payments written."""

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from simulators.addresses import Addresses
from simulators.baskets import goods_order
from simulators.messages import Order
from simulators.orders import Orders
from simulators.payments import Payments
from simulators.programs import number_of_run, paced, run
from simulators.service import Reservation, Service, open_service
from simulators.topics import open_writer

GOODS_ORDERS_PER_SALE = 10
"""Most customers buy no certificate."""


@dataclass(slots=True)
class Channel:
    """One channel, ``im`` or ``pos``, and how long each of its reservations took, in seconds."""

    name: str
    service: Service
    orders: Orders
    payments: Payments
    reservation_seconds: list[float] = field(default_factory=list)

    async def reserve(self, product: str, key: str | None = None) -> Reservation:
        """Reserve one certificate for a basket."""
        began = monotonic()
        reservation = await self.service.next_certificate(self.name, product, key)
        self.reservation_seconds.append(monotonic() - began)
        return reservation


@asynccontextmanager
async def open_channel(addresses: Addresses, name: str) -> AsyncIterator[Channel]:
    """Connect a channel that runs alone."""
    async with open_service(addresses, "channel") as service, open_writer(addresses) as writer:
        orders = Orders(writer, addresses.orders_topic)
        yield Channel(name, service, orders, Payments(writer, addresses.payments_topic))


def run_channel(
    program: str,
    description: str | None,
    channel: str,
    sell_certificate: Callable[[Channel, str, str], Awaitable[Order]],
    sell_goods: Callable[[Channel, Order], Awaitable[object]],
) -> None:
    """Read the options, then sell certificates at a rate among ten times as many orders of goods."""
    parser = argparse.ArgumentParser(prog=f"python -m simulators.{program}", description=description)
    parser.add_argument("--rate", type=float, default=1.0, help="certificates a second")
    parser.add_argument("--count", type=int, default=None, help="how many; without it, until interrupted")
    parser.add_argument("--product", default="GC-5000")
    options = parser.parse_args()

    async def trade(addresses: Addresses) -> None:
        orders = f"{channel.upper()}-{number_of_run()}"
        async with open_channel(addresses, channel) as opened:
            async for number in paced(options.rate, options.count):
                order = await sell_certificate(opened, options.product, f"{orders}-{number}")
                print(f"{order.order_id}: certificate {order.certificate_lines[0].certificate_id}")  # noqa: T201
                for extra in range(GOODS_ORDERS_PER_SALE):
                    await sell_goods(opened, goods_order(channel, f"{orders}-{number}-G{extra}"))

    run(trade)

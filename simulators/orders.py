"""Orders: writes ``All_SalesOrder`` for the channels. Alone it sells goods at a steady rate.

``python -m simulators.orders --rate 20 --count 1000``
"""

import argparse

from simulators.addresses import Addresses
from simulators.baskets import goods_order
from simulators.messages import Order, OrderMessage, order_created
from simulators.programs import number_of_run, paced, run
from simulators.topics import Writer, open_writer


class Orders:
    """The system through which channels write orders."""

    def __init__(self, writer: Writer, topic: str) -> None:
        self._writer = writer
        self._topic = topic

    async def place(self, order: Order) -> OrderMessage:
        """Write that the order was made, and return the message."""
        message = order_created(order)
        await self.write(message)
        return message

    async def write(self, message: OrderMessage) -> None:
        """Write a message about an order; all of one order stay in their order."""
        await self._writer.write(self._topic, message.order_id, message)


async def sell_goods(addresses: Addresses, rate: float, count: int | None) -> None:
    """Place goods orders of the internet store, so many a second."""
    run_name = number_of_run()
    async with open_writer(addresses) as writer:
        orders = Orders(writer, addresses.orders_topic)
        async for number in paced(rate, count):
            await orders.place(goods_order("im", f"IM-{run_name}-G{number}"))


def main() -> None:
    """Read the options and run until done or interrupted."""
    parser = argparse.ArgumentParser(prog="python -m simulators.orders", description=__doc__)
    parser.add_argument("--rate", type=float, default=20.0, help="orders a second")
    parser.add_argument("--count", type=int, default=None, help="how many; without it, until interrupted")
    options = parser.parse_args()
    run(lambda addresses: sell_goods(addresses, options.rate, options.count))


if __name__ == "__main__":
    main()

"""Payments: writes ``All_Payments`` for the channels. Alone it pays the internet store's orders as they come.

``python -m simulators.payments`` (the tills of ``pos`` take their money themselves)
"""

import argparse

import msgspec

from simulators.addresses import Addresses
from simulators.messages import Order, OrderLine, PaymentMessage, payment_authorized, payment_captured
from simulators.programs import run
from simulators.topics import Writer, open_reader, open_writer


class Payments:
    """The system through which channels write payments."""

    def __init__(self, writer: Writer, topic: str) -> None:
        self._writer = writer
        self._topic = topic

    async def authorize(self, order: Order) -> PaymentMessage:
        """Write that the order's money is promised, and return the message."""
        return await self.write(payment_authorized(order))

    async def capture(self, order: Order) -> PaymentMessage:
        """Write that the order's money is taken, and return the message."""
        return await self.write(payment_captured(order))

    async def write(self, message: PaymentMessage) -> PaymentMessage:
        """Write a message about a payment; all of one order stay in their order."""
        await self._writer.write(self._topic, message.order_id, message)
        return message


class _OrderSeen(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    event_type: str
    channel: str
    order_id: str
    customer_id: str
    currency: str
    lines: tuple[OrderLine, ...]


def order_to_pay(value: bytes, channel: str) -> Order | None:
    """Return the new order of a record, if it is this channel's; other records give ``None``."""
    try:
        seen = msgspec.json.decode(value, type=_OrderSeen)
    except msgspec.DecodeError:
        return None
    if seen.event_type != "order.created" or seen.channel != channel:
        return None
    return Order(
        channel=seen.channel,
        order_id=seen.order_id,
        customer_id=seen.customer_id,
        currency=seen.currency,
        lines=seen.lines,
    )


async def pay_what_is_ordered(addresses: Addresses, channel: str) -> None:
    """Authorise and capture every order of a channel that comes from now on."""
    reading = open_reader(addresses, addresses.orders_topic)
    async with open_writer(addresses) as writer, reading as reader:
        payments = Payments(writer, addresses.payments_topic)
        await reader.skip_to_end()
        while True:
            for record in await reader.batch():
                order = order_to_pay(record.value, channel)
                if order is not None:
                    await payments.authorize(order)
                    await payments.capture(order)


def main() -> None:
    """Read the options and run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m simulators.payments", description=__doc__)
    parser.add_argument("--channel", default="im", help="whose orders are paid")
    options = parser.parse_args()
    run(lambda addresses: pay_what_is_ordered(addresses, options.channel))


if __name__ == "__main__":
    main()

"""The end of the day."""

import asyncio
from collections.abc import Iterable

import msgspec

from simulators.demo.expectations import NothingFollows
from simulators.demo.outcomes import ISSUED
from simulators.demo.play import Play
from simulators.messages import Message, Order, OrderMessage, PaymentMessage, resent


async def whole_day_sent_again(play: Play) -> None:
    """The tills send all that they wrote, goods too, once more under new event ids; then they sell on.

    A sale in every partition of both topics: once those are issued, everything before them was applied.
    """
    day, addresses = tuple(play.world.day[play.channel.name]), play.world.addresses
    play.expect(NothingFollows.after(len(day), play.world.journal))
    orders = (message for message in day if isinstance(message, OrderMessage))
    payments = (message for message in day if isinstance(message, PaymentMessage))
    await asyncio.gather(
        play.world.writer.write_all(addresses.orders_topic, _again(orders)),
        play.world.writer.write_all(addresses.payments_topic, _again(payments)),
    )
    await _sell_in_every_partition(play)


def _again(messages: Iterable[Message]) -> list[tuple[str, Message]]:
    return [(message.order_id, resent(message)) for message in messages]


async def _sell_in_every_partition(play: Play) -> None:
    writer, addresses = play.world.writer, play.world.addresses
    topics = (addresses.orders_topic, addresses.payments_topic)
    left = {(topic, number) for topic in topics for number in await writer.partitions(topic)}
    while left:
        order = play.basket(await play.reserve(ISSUED))
        while not (reached := await _partitions_of(play, order, topics) & left):
            order = msgspec.structs.replace(order, order_id=play.order_id(play.channel))
        left -= reached
        await asyncio.gather(play.place(order), play.capture(order))


async def _partitions_of(play: Play, order: Order, topics: tuple[str, ...]) -> set[tuple[str, int]]:
    writer = play.world.writer
    return {(topic, await writer.partition_of(topic, order.order_id)) for topic in topics}

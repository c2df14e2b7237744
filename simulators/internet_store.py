"""The internet store, channel ``im``: customers order first and pay a little later.

``python -m simulators.internet_store --rate 2 --product GC-5000``; run ``simulators.payments`` beside it.
"""

from simulators.baskets import certificate_order
from simulators.channel import Channel, run_channel
from simulators.messages import Order


async def order_certificate(store: Channel, product: str, order_id: str) -> Order:
    """Reserve a certificate and order it together with an article; whoever pays it comes after."""
    order = certificate_order(order_id, [await store.reserve(product)], goods=1)
    await store.orders.place(order)
    return order


if __name__ == "__main__":
    run_channel(
        "internet_store", __doc__, "im", order_certificate, lambda store, order: store.orders.place(order)
    )

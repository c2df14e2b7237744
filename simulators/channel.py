"""A sales channel: it reserves certificates over HTTP and has its orders and payments written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from simulators.addresses import Addresses
from simulators.orders import Orders
from simulators.payments import Payments
from simulators.service import Reservation, Service, open_service
from simulators.topics import open_writer


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

"""One playing of a story: what its customer can do, and what it may wait for."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import monotonic

from simulators.addresses import Addresses
from simulators.baskets import certificate_order
from simulators.channel import Channel
from simulators.crm import Crm
from simulators.demo.books import Books
from simulators.demo.expectations import Expectation, is_met
from simulators.demo.journal import Journal, label
from simulators.demo.latency import NotificationTimes
from simulators.demo.outcomes import CertificateTells, Outcome
from simulators.messages import Order, OrderMessage, PaymentMessage, order_changed, resent
from simulators.service import Reservation
from simulators.support import Support
from simulators.topics import Writer

PRODUCT = "GC-5000"
GIVEN_AWAY = "GC-DEMO-GIFT"
"""May cost nothing: its greatest discount is 100 %."""
SHORT_RESERVATION = "GC-DEMO-SHORT"
BRIEF_VALIDITY = "GC-DEMO-BRIEF"
TINY_POOL = "GC-DEMO-TINY"
NEVER_BEGUN = "never begun"


@dataclass(slots=True)
class World:
    """All neighbours of the service, connected, what they have seen, and what each channel wrote this day."""

    run: str
    addresses: Addresses
    channels: dict[str, Channel]
    writer: Writer
    crm: Crm
    support: Support
    journal: Journal
    books: Books = field(default_factory=Books)
    times: NotificationTimes = field(default_factory=NotificationTimes)
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    day: dict[str, list[OrderMessage | PaymentMessage]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class Play:
    """One customer's story in one channel."""

    world: World
    channel: Channel
    expectations: list[Expectation] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    sent: list[OrderMessage | PaymentMessage] = field(default_factory=list)
    failure: str | None = NEVER_BEGUN

    async def reserve(self, outcome: Outcome, product: str = PRODUCT, key: str | None = None) -> Reservation:
        """Reserve a certificate and say what shall become of it."""
        reservation = await self.channel.reserve(product, key)
        self.expect(CertificateTells(reservation, outcome))
        return reservation

    def expect(self, expectation: Expectation) -> None:
        """Add something that must come to be seen."""
        self.expectations.append(expectation)

    def basket(self, *reservations: Reservation, goods: int = 0, discount_percent: int = 0) -> Order:
        """Fill a basket with certificates, after so many articles."""
        name = self.order_id(self.channel)
        return certificate_order(name, list(reservations), goods=goods, discount_percent=discount_percent)

    def order_id(self, channel: Channel) -> str:
        """Return the name of a channel's next order."""
        return f"{channel.name.upper()}-{self.world.run}-{next(self.world.numbers)}"

    async def place(self, order: Order) -> None:
        """Order the basket."""
        self.orders.append(order)
        self._wrote(await self.channel.orders.place(order))

    async def change(self, order: Order, version: int = 2) -> None:
        """Say how the whole order now is."""
        self.orders.append(order)
        await self.write_order(order_changed(order, version))

    async def write_order(self, message: OrderMessage) -> None:
        """Write a further message about an order."""
        self._wrote(message)
        await self.channel.orders.write(message)

    async def authorize(self, order: Order) -> None:
        """Promise the order's money."""
        self._wrote(await self.channel.payments.authorize(order))

    async def capture(self, order: Order) -> None:
        """Take the order's money; what is already ordered shall now be issued quickly."""
        if order in self.orders:
            self.world.times.captured(order.order_id, monotonic())
        self._wrote(await self.channel.payments.capture(order))

    async def write_payment(self, message: PaymentMessage) -> None:
        """Write a further message about a payment."""
        self._wrote(message)
        await self.channel.payments.write(message)

    async def pay(self, order: Order) -> None:
        """Promise and take the order's money."""
        await self.authorize(order)
        await self.capture(order)

    async def repeat_all(self, *, under_new_ids: bool) -> None:
        """Write every message of this story once more."""
        for message in tuple(self.sent):
            if isinstance(message, OrderMessage):
                await self.channel.orders.write(resent(message) if under_new_ids else message)
            else:
                await self.channel.payments.write(resent(message) if under_new_ids else message)

    def _wrote(self, message: OrderMessage | PaymentMessage) -> None:
        self.sent.append(message)
        self.world.day[message.channel].append(message)

    async def until_told(self, reservation: Reservation, event: str) -> None:
        """Wait until the stream has this event of the certificate."""
        journal = self.world.journal
        await journal.bells.until(
            reservation.certificate_id, lambda: event in map(label, journal.life(reservation))
        )

    async def until_written(self, reservation: Reservation) -> None:
        """Wait until CRM has written to the client and the disclosure is on the stream."""
        journal, certificate_id = self.world.journal, reservation.certificate_id

        def is_written() -> bool:
            disclosed = (event.event_type == "audit.cvcDisclosed" for event in journal.events[certificate_id])
            return self.world.crm.has_written_about(certificate_id) and any(disclosed)

        await journal.bells.until(certificate_id, is_written)

    async def until_come_out(self) -> None:
        """Wait until everything expected is seen, letters to clients included."""
        journal = self.world.journal
        for expectation in self.expectations:
            await journal.bells.until(expectation.key, partial(is_met, expectation, journal))
            if isinstance(expectation, CertificateTells) and expectation.outcome.writes_a_letter:
                await self.until_written(expectation.reservation)


Story = Callable[[Play], Awaitable[None]]

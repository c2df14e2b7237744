"""Every neighbour of the service, connected."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from time import monotonic

from simulators.addresses import Addresses
from simulators.channel import Channel
from simulators.crm import Crm
from simulators.demo.journal import Journal
from simulators.demo.play import World
from simulators.figures import Figures
from simulators.orders import Orders
from simulators.payments import Payments
from simulators.programs import number_of_run
from simulators.service import Service, open_service
from simulators.support import Support
from simulators.topics import Reader, Writer, open_reader, open_writer

CHANNELS = ("im", "pos")


@dataclass(slots=True)
class Connections:
    """Everything that is open during the run. BI and CRM each read the stream for themselves."""

    world: World
    bi_reader: Reader
    crm_reader: Reader
    before: Figures = field(default_factory=Figures)

    async def begin(self) -> None:
        """Fold what the stream already has, so that this run's events are distinct from earlier ones."""
        world = self.world
        await world.support.service.ready()
        await self.crm_reader.skip_to_end()
        await self.catch_up()
        world.journal.begin()
        self.before = replace(world.journal.fold.figures)
        world.journal.on_event = lambda event: world.times.published(event, monotonic())
        world.crm.on_letter = world.journal.bells.ring

    async def catch_up(self) -> None:
        """Read the stream to its present end."""
        end = await self.bi_reader.end()
        while not await self.bi_reader.has_read(end):
            for record in await self.bi_reader.batch():
                self.world.journal.take(record)


@asynccontextmanager
async def connected(addresses: Addresses) -> AsyncIterator[Connections]:
    """Connect two channels, Orders, Payments, CRM, BI and support."""
    async with AsyncExitStack() as stack:
        selling = await stack.enter_async_context(open_service(addresses, "channel"))
        writing = await stack.enter_async_context(open_service(addresses, "crm"))
        support = await stack.enter_async_context(open_service(addresses, "support"))
        writer = await stack.enter_async_context(open_writer(addresses))
        bi_reader = await stack.enter_async_context(open_reader(addresses, addresses.stream_topic))
        crm_reader = await stack.enter_async_context(open_reader(addresses, addresses.stream_topic))
        channels = _channels(addresses, selling, writer)
        world = World(number_of_run(), addresses, channels, writer, Crm(writing), Support(support), Journal())
        yield Connections(world, bi_reader, crm_reader)


def _channels(addresses: Addresses, service: Service, writer: Writer) -> dict[str, Channel]:
    orders = Orders(writer, addresses.orders_topic)
    payments = Payments(writer, addresses.payments_topic)
    return {name: Channel(name, service, orders, payments) for name in CHANNELS}

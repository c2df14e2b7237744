"""The partners around the service: what a partner needs to trade while parts of the service are away.

Whoever asks, asks again under the same key until there is an answer; what is written is written until the broker
has it. All of it goes over the public contracts.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import aiokafka
import httpx
import msgspec
from aiokafka.errors import KafkaError

from benchmarks.stack import token_of
from chaos.history import History
from chaos.oracle import Book, Evidence
from chaos.stage import Stage
from simulators.addresses import Addresses
from simulators.demo.journal import Bells
from simulators.messages import OrderMessage, PaymentMessage
from simulators.programs import number_of_run
from simulators.service import RefusedError, Service
from simulators.stream import Event, read_event
from simulators.topics import Reader, Writer, open_reader

PRODUCT = "GC-5000"
ROLES = ("channel", "crm", "support", "ops")
CALL_SECONDS = 10
_CONNECTIONS = httpx.Limits(max_connections=None, max_keepalive_connections=50)
Answer = TypeVar("Answer")


@dataclass(slots=True)
class Partners:
    """Every partner's connections, the book they keep together, and what the stream has published so far."""

    addresses: Addresses
    callers: "Callers"
    writer: Writer
    reader: Reader
    book: Book = field(default_factory=Book)
    history: History = field(default_factory=History)
    bells: Bells = field(default_factory=Bells)
    published: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    run: str = field(default_factory=number_of_run)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def ask(self, role: str, method: str, path: str, **call: Mapping[str, Any]) -> httpx.Response:
        """Call the API until it answers; ``call`` as in `Service.call`, with a key that is only this call's.

        Raises:
            RefusedError: it declines for a reason that is none of its own.
        """
        key = str(uuid4())
        return await until_answered(lambda: self.callers.of(role).call(method, path, key=key, **call))

    async def write(self, message: OrderMessage | PaymentMessage) -> None:
        """Put a message on its topic, if need be more than once."""
        addresses = self.addresses
        topic = addresses.orders_topic if isinstance(message, OrderMessage) else addresses.payments_topic
        await until_answered(partial(self.writer.write, topic, message.order_id, message))

    async def until_published(self, certificate_id: str, event_type: str, number: int = 1) -> Event:
        """Wait for the ``number``-th event of this type about a certificate, and return it."""

        def found() -> list[Event]:
            seen = {
                one.event_id: one for one in self.published[certificate_id] if one.event_type == event_type
            }
            return list(seen.values())

        await self.bells.until(certificate_id, lambda: len(found()) >= number)
        return found()[number - 1]

    async def follow_stream(self) -> None:
        """Read the stream for ever and wake who waits for news."""
        while True:
            for record in await self.reader.batch():
                event = read_event(record)
                if event.certificate_id is not None:
                    self.published[event.certificate_id].append(event)
                    self.bells.ring(event.certificate_id)

    async def pool(self) -> dict[str, int]:
        """Count the certificates of the product per status."""
        counts = (await self.ask("ops", "GET", "/pool")).json()
        return next(dict(one["statuses"]) for one in counts if one["product"] == PRODUCT)


@dataclass(slots=True)
class Callers:
    """Callers of every role at the API, which take turns at the additional API processes of the stage."""

    stage: Stage
    tokens: Mapping[str, str]
    opened: AsyncExitStack
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    turns: "count[int]" = field(default_factory=count)

    def of(self, role: str) -> Service:
        """Return the caller whose turn it is."""
        urls = [self.stage.stack.api_url, *self.stage.apis]
        url = urls[next(self.turns) % len(urls)]
        if url not in self.clients:
            client = httpx.AsyncClient(base_url=url, timeout=CALL_SECONDS, limits=_CONNECTIONS)
            self.clients[url] = client
            self.opened.push_async_callback(client.aclose)
        return Service(self.clients[url], self.tokens[role], attempts=1)


async def until_answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Call until there is an answer.

    Raises:
        RefusedError: the service declines, or failed in a way that the contract does not know.
    """
    while True:
        try:
            return await call()
        except (httpx.TransportError, KafkaError):
            pass
        except RefusedError as refusal:
            if refusal.status not in {429, 503}:
                raise
        await asyncio.sleep(0.5)


@asynccontextmanager
async def open_partners(stage: Stage) -> AsyncIterator[Partners]:
    """Connect everybody to the stack."""
    stack = stage.stack
    addresses = Addresses(
        stack.api_url, stack.kafka, "All_SalesOrder", "All_Payments", "GiftCertificates.Stream"
    )
    async with AsyncExitStack() as opened:
        # Not idempotent: a message that may have been written is written again.
        producer = await opened.enter_async_context(
            aiokafka.AIOKafkaProducer(bootstrap_servers=stack.kafka, linger_ms=2)
        )
        reader = await opened.enter_async_context(open_reader(addresses, addresses.stream_topic))
        tokens = {role: token_of(stack.environment, role) for role in ROLES}
        partners = Partners(addresses, Callers(stage, tokens, opened), Writer(producer), reader)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(partners.follow_stream())
            partners.book.imported = sum((await partners.pool()).values())
            yield partners
            following.cancel()


async def read_stream(addresses: Addresses) -> list[dict[str, Any]]:
    """Read the whole stream with a consumer of its own."""
    events = []
    async with open_reader(addresses, addresses.stream_topic) as reader:
        end = await reader.end()
        while not await reader.has_read(end):
            events += [json.loads(record.value) for record in await reader.batch()]
    return events


async def gather_evidence(partners: Partners) -> Evidence:
    """Read the whole stream, and ask the API for everything in the book."""
    certificates = sorted(partners.book.handed_out)
    purchases = (one.redemption_id for line in partners.book.lines for one in line.purchases)
    return Evidence(
        events=await read_stream(partners.addresses),
        certificates=await _look_up(partners, "support", "/certificates", certificates),
        redemptions=await _look_up(partners, "channel", "/redemptions", [one for one in purchases if one]),
        pool=await partners.pool(),
    )


async def _look_up(partners: Partners, role: str, path: str, ids: list[str]) -> dict[str, Any]:
    places = asyncio.Semaphore(8)

    async def look_up(one: str) -> dict[str, Any]:
        async with places:
            try:
                answer = await partners.ask(role, "GET", f"{path}/{one}")
            except RefusedError:  # unknown, or worse: the oracle misses it
                return {}
        return dict(msgspec.json.decode(answer.content))

    return dict(zip(ids, await asyncio.gather(*map(look_up, ids)), strict=True))

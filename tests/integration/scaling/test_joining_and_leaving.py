"""Processes of every kind come and go while both channels sell: nothing is lost, doubled or broken."""

import asyncio
import json
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiokafka
import httpx
import psutil
import pytest

from benchmarks.sales import Shop, open_shop
from benchmarks.stack import GIFTCERT, Stack, running_stack
from tests.processes import free_port
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]
AT_ONCE = 6
SEVERAL = 8
"""Sales while a process is there, and again once it has gone."""


@dataclass(frozen=True)
class Member:
    """A process that has joined those of a stack."""

    kind: str
    port: int
    process: asyncio.subprocess.Process
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def is_ready(self) -> bool:
        assert self.process.returncode is None, f"{self.kind} has ended"
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/healthz")).status_code == 200
        except httpx.TransportError:
            return False

    async def does_its_part(self, database_port: int) -> bool:
        """Whether it takes work: by its figures, or, as a worker has none of its own, by what it has open."""
        if self.kind == "worker":
            connections = psutil.Process(self.process.pid).net_connections()
            return any(one.raddr and one.raddr.port == database_port for one in connections)
        async with httpx.AsyncClient() as client:
            figures = (await client.get(f"{self.url}/metrics")).text.splitlines()
        counted = {
            "api": "giftcert_http_request_seconds_count{",
            "ingest": "giftcert_ingest_batch_records_count",
            "dispatch": "giftcert_dispatch_published_total",
        }[self.kind]
        return any(line.startswith(counted) and float(line.rpartition(" ")[2]) > 0 for line in figures)


@dataclass
class Market:
    """Sales that go on, one after another in several places at once, until it closes."""

    shop: Shop
    sold: list[str]
    is_open: bool = True

    async def trade(self) -> None:
        while self.is_open:
            self.sold.append(await self.shop.sell())

    async def more(self) -> None:
        wanted = len(self.sold) + SEVERAL
        await until(lambda: len(self.sold) >= wanted)


@asynccontextmanager
async def joined(stack: Stack, kind: str, **settings: str) -> AsyncIterator[Member]:
    port = free_port()
    own = {f"GIFTCERT_{'API' if kind == 'api' else 'METRICS'}_PORT": str(port), **settings}
    log = stack.folder / f"{kind}-{port}.log"
    with await asyncio.to_thread(log.open, "wb") as output:
        process = await asyncio.create_subprocess_exec(
            *GIFTCERT, kind, env={**stack.environment, **own}, stdout=DEVNULL, stderr=output
        )
    member = Member(kind, port, process, log)
    try:
        await until(member.is_ready)
        yield member
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def leaves(member: Member) -> None:
    assert member.process.returncode is None, member.log.read_text("utf-8")[-2_000:]
    member.process.terminate()
    assert await member.process.wait() == 0


async def stream_of(stack: Stack) -> list[tuple[str, str, str, int]]:
    """Return certificate, event, its type and its number of all events so far, repeats left out."""
    consumer = aiokafka.AIOKafkaConsumer(
        "GiftCertificates.Stream", bootstrap_servers=stack.kafka, auto_offset_reset="earliest"
    )
    async with consumer:
        partitions = [*consumer.assignment()]
        ends = await consumer.end_offsets(partitions)
        found: dict[str, tuple[str, str, str, int]] = {}
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for event in (json.loads(record.value) for record in records):
                    if event["certificateId"] is not None:
                        found[event["eventId"]] = (
                            event["certificateId"],
                            event["eventId"],
                            event["eventType"],
                            event["sequence"],
                        )
        return list(found.values())


async def sell_while_members_come_and_go(stack: Stack, market: Market) -> None:
    database_port = int(stack.database_url.rpartition(":")[2].split("/")[0])
    for kind in ("ingest", "worker", "dispatch"):
        only_im = {"GIFTCERT_WORKER_CHANNELS": '["im"]'} if kind == "worker" else {}
        async with joined(stack, kind, **only_im) as member:
            await until(partial(member.does_its_part, database_port))
            await market.more()
            await leaves(member)
        await market.more()
    async with (
        joined(stack, "api", GIFTCERT_API_GRACE="PT1S") as member,
        httpx.AsyncClient(base_url=member.url, headers=market.shop.api.headers) as api,
    ):
        usual, market.shop.api = market.shop.api, api
        await until(lambda: member.does_its_part(database_port))
        await market.more()
        leaving = asyncio.create_task(leaves(member))  # while sales are on the way to it
        await until(lambda: is_given_up(api))
        market.shop.api = usual
        await market.more()
        await leaving


async def is_given_up(api: httpx.AsyncClient) -> bool:
    return (await api.get("/readyz")).status_code == 503


async def test_processes_of_every_kind_come_and_go_and_all_comes_out_as_sold() -> None:
    with running_stack(pool=600) as stack:
        async with open_shop(stack) as shop:
            market = Market(shop, [])
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(market.trade())
                await market.more()
                await sell_while_members_come_and_go(stack, market)
                market.is_open = False
            await asyncio.gather(*map(shop.until_announced, market.sold))
        events = await stream_of(stack)
        verified = await asyncio.create_subprocess_exec(
            *GIFTCERT, "verify", "--sample", "1000", env=stack.environment, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await verified.communicate()
        assert verified.returncode == 0, said.decode()
    assert len(set(market.sold)) == len(market.sold) >= 9 * SEVERAL
    kinds = Counter((certificate, kind) for certificate, _, kind, _ in events)
    for certificate in market.sold:
        assert kinds[certificate, "issue.completed"] == kinds[certificate, "notification.requested"] == 1
    for certificate in {event[0] for event in events}:
        numbers = sorted(number for it, _, _, number in events if it == certificate)
        assert numbers == list(range(1, len(numbers) + 1))

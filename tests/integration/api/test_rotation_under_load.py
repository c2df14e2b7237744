"""Keys are rotated while everybody works: real API, Temporal, worker, ingest's transaction, and a KMS over HTTP."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from giftcert.lifecycle.key_rotation import KeyRotation
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.data_keys import StoredKey
from giftcert.storage.database import Database
from giftcert.temporal.workflow_starts import send_wakes, signal_certificate
from tests.fake_vault import TOKEN, fake_vault
from tests.integration.api.api_client import Api, Stock, open_api, settings_for
from tests.integration.api.sales import open_stock, redeem, with_own_namespace
from tests.integration.kafka_ingest.ingest_store import Store
from tests.unit.contracts.topic_records import certificate_line, order, payment
from tests.waiting import until
from worker import running

pytestmark = pytest.mark.integration
SOLD = 6
UNLIMITED = {
    "disclosures_per_certificate": "1000000/hour",
    "disclosures_per_caller": "1000000/hour",
    "verifications_per_caller": "1000000/hour",
    "reservation_share": 1.0,
}


@dataclass
class World:
    """An API and a worker, certificates sold through ingest's transaction, and what their holders know."""

    settings: Settings
    client: Client
    api: Api
    stock: Stock
    ingest: Store
    sold: dict[str, dict[str, str]] = field(default_factory=dict)

    async def sell(self) -> str:
        """Sell a certificate as ingest does, which seals the originals."""
        claim = (await self.api.next()).json()
        order_id = f"IM-{uuid4().hex[:8]}"
        line = certificate_line(certificateId=claim["certificateId"], reservationId=claim["reservationId"])
        paid = payment(orderId=order_id, paymentId=f"P-{order_id}", eventId=f"p-{order_id}")
        for record in (
            self.ingest.order_record(order(orderId=order_id, eventId=f"o-{order_id}", lines=[line])),
            self.ingest.payment_record(paid),
        ):
            committed = await self.ingest.commit(record)
            for wake in committed.wakes:
                await signal_certificate(self.client, wake)
        return str(claim["certificateId"])

    async def disclose(self, certificate_id: str) -> httpx.Response:
        return await self.api.as_role("crm", f"/certificates/{certificate_id}/cvc", purpose="notification")

    async def is_issued(self, certificate_id: str) -> bool:
        return (await self.disclose(certificate_id)).status_code == 200


@pytest.fixture
async def world(
    fresh_database_url: str, temporal_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    async with AsyncExitStack() as stack:
        vault = stack.enter_context(fake_vault())
        settings = settings_for(fresh_database_url, tmp_path, master_key=vault.uri, **UNLIMITED)
        settings, client = await with_own_namespace(settings, temporal_address)
        settings = settings.model_copy(update={"query_timeout": settings.unpaid_after_void})
        stock = await stack.enter_async_context(open_stock(settings))
        await stock.fill(400)
        api = await stack.enter_async_context(open_api(settings))
        await stack.enter_async_context(running(settings))
        world = World(settings, client, api, stock, Store(stock.database, keyring_of(settings), [""]))
        for _ in range(SOLD):
            certificate_id = await world.sell()
            await until(partial(world.is_issued, certificate_id))
            world.sold[certificate_id] = await stock.credentials(certificate_id)
        yield world


@asynccontextmanager
async def load(world: World) -> AsyncIterator[Counter[str]]:
    """Claim, disclose, check, redeem and sell all the time; count what came of it."""
    counts, nth = Counter[str](), count()
    going_on = True

    async def claim() -> None:
        reply = await world.api.next()
        assert reply.status_code == 200, reply.text
        path = f"/reservations/{reply.json()['reservationId']}"
        assert (await world.api.client.delete(path, headers=world.api.headers())).status_code == 204

    async def disclose() -> None:
        certificate_id = list(world.sold)[next(nth) % SOLD]
        reply = await world.disclose(certificate_id)
        assert reply.json() == {"certificateId": certificate_id, **world.sold[certificate_id]}, reply.text
        counts[reply.headers["sealed-secrets-from"]] += 1

    async def check() -> None:
        shown = list(world.sold.values())[next(nth) % SOLD]
        assert (await world.api.verify(**shown)).json()["valid"] is True

    async def spend() -> None:
        shown = list(world.sold.values())[next(nth) % SOLD]
        reply = await redeem(world.api, shown, 100, uuid4().hex)
        assert reply.status_code == 201, reply.text

    async def sell() -> None:
        await world.sell()

    async def repeat(work: Callable[[], Awaitable[Any]], name: str) -> None:
        while going_on:
            await work()
            counts[name] += 1

    async with asyncio.TaskGroup() as group:
        for work in (claim, disclose, check, spend, sell):
            group.create_task(repeat(work, work.__name__))
        try:
            yield counts
        finally:
            going_on = False


async def more(counts: Counter[str], by: int = 3) -> None:
    """Wait until every kind of request was answered a few times more."""
    before = counts.copy()

    async def answered() -> bool:
        return all(counts[one] >= before[one] + by for one in ("claim", "disclose", "check", "spend", "sell"))

    await until(answered)


async def rotate(rotation: KeyRotation, world: World) -> None:
    """As ``giftcert keys rotate`` does, in a process of its own."""
    await rotation.begin("olga", "yearly")
    await rotation.reseal(lambda _: None)

    async def followed() -> bool:
        await rotation.wake_runs(partial(send_wakes, world.client), "im")
        return not await rotation.conclude()

    await until(followed)


def live(keys: list[StoredKey]) -> set[int]:
    """Keys that open more than originals, which nobody seals anew."""
    return {one.key_id for one in keys if not one.destroyed_at and not one.originals}


async def test_a_rotation_under_load_fails_no_request_and_running_workflows_follow(world: World) -> None:
    async with Database(world.settings.database_address) as database, load(world) as counts:
        rotation = KeyRotation(database, keyring_of(world.settings), "stream-0")
        await more(counts)
        before = live(await rotation.usage())
        for _ in range(2):
            await rotate(rotation, world)
            await more(counts)
            await rotation.destroy_unneeded("olga", "done")
            await more(counts)
        keys = await rotation.usage()
    print(dict(counts))  # for pytest -s
    assert not live(keys) & before
    assert all(one.rows == one.runs == 0 for one in keys if one.retired_at)
    assert sum(one.runs for one in keys) >= SOLD
    assert counts["storage"] == 0  # every CVC came from its workflow
    async with open_api(world.settings) as api:
        for certificate_id, shown in world.sold.items():
            path = f"/certificates/{certificate_id}/cvc"
            reply = await api.as_role("crm", path, purpose="notification")
            assert reply.json() == {"certificateId": certificate_id, **shown}
            assert reply.headers["sealed-secrets-from"] == "workflow"

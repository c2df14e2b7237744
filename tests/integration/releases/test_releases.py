"""A release with sleepers in every state: commands and rules change, both versions serve, and the former comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client
from temporalio.service import RPCError
from versions import (
    CHANGED_RULE,
    CHANGED_WORKFLOW,
    LOOK,
    Version,
    copy_of_product,
)

from giftcert.domain.certificate.messages import SpendingReported, Unblock
from giftcert.domain.order.messages import OrderMessage
from giftcert.security.keyring import Keyring
from giftcert.security.tokens import create_signing_keys
from giftcert.settings import Settings
from giftcert.temporal.deployment import builds
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate, workflow_id
from tests.folding import fold, report_spending
from tests.integration.api.api_client import Api, Stock, open_api, settings_for
from tests.integration.api.sales import (
    Orders,
    Till,
    captured,
    open_stock,
    ordered,
    orders_of,
    refunded,
    with_own_namespace,
)
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
FAILURES = {
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
}
SLEEPERS = ("ordered", "issued", "partiallyRedeemed", "blocked")


@dataclass
class LedOrders(Orders):
    """Stores and signals as ingest does; the workflows decide."""

    client: Client

    async def tell(self, *messages: OrderMessage) -> None:
        for message in messages:
            async with self.stock.database.transaction() as connection:
                wakes = await fold(connection, [message], datetime.now(UTC), self.stock.settings.policy)
            await self.send(wakes)

    async def spend(self, certificate_id: str, message: SpendingReported) -> None:
        async with self.stock.database.transaction() as connection:
            wakes = await report_spending(connection, certificate_id, message, uuid4().hex, datetime.now(UTC))
        await self.send(wakes)

    async def send(self, wakes: Iterable[Wake]) -> None:
        sent = list(wakes)
        for wake in sent:
            await signal_certificate(self.client, wake)
        await until_decided(self.stock, [wake.certificate_id for wake in sent])

    async def wake(self, certificate_id: str) -> None:
        wake = Wake(certificate_id=certificate_id, signal=Signal.REQUEST_DECIDED, channel="im")
        await signal_certificate(self.client, wake)


async def until_decided(stock: Stock, certificate_ids: list[str]) -> None:
    async def decided() -> bool:
        waiting = "SELECT 1 FROM pending WHERE certificate_id = ANY(CAST(:ids AS uuid[]))"
        return await stock.rows(waiting, ids=certificate_ids) == []

    await until(decided)


@dataclass
class World:
    """A service whose workers are processes of several versions."""

    folder: Path
    settings: Settings
    client: Client
    stock: Stock
    api: Api
    till: Till
    orders: LedOrders

    def version(self, name: str, **changes: tuple[str, str]) -> Version:
        given = {
            "DATABASE_URL": self.settings.database_address,
            "TEMPORAL_ADDRESS": str(self.settings.temporal_address),
            "TEMPORAL_NAMESPACE": self.settings.temporal_namespace,
            "KAFKA_BOOTSTRAP_SERVERS": str(self.settings.kafka_bootstrap_servers),
            "KEYRING": str(self.settings.keyring),
            "JWT_JWKS": str(self.folder / "jwks.json"),
            "STATE_DIR": str(self.folder / "none"),
        }
        variables = {f"GIFTCERT_{setting}": value for setting, value in given.items()}
        return copy_of_product(self.folder / name, variables, **changes)

    async def until_led_by(self, version: Version) -> None:
        """Wait until a version leads; the server answers only so many questions a second."""
        while True:
            with suppress(RPCError):
                found = await builds(self.client, [])
                if [one.build_id for one in found if one.state == "current"] == [version.build]:
                    return
            await asyncio.sleep(0.5)

    async def sleepers(self) -> dict[str, str]:
        """Certificates whose runs sleep in each state, by state; one is only reserved and has no run yet."""
        made = {status: await self.till.certificate_in(status) for status in SLEEPERS}
        made["pendingDetails"] = await self.till.certificate_in("partiallyRedeemed")
        order_id = (await self.till.row(made["pendingDetails"]))["order_id"]
        await self.orders.tell(refunded(order_id))
        assert (await self.till.row(made["pendingDetails"]))["refund_state"] == "pendingDetails"
        return made

    async def go_on(self, sleepers: dict[str, str]) -> None:
        """Let something happen to each, and see it done."""
        till, rows = self.till, {name: await self.till.row(one) for name, one in sleepers.items()}
        await self.orders.tell(captured(rows["ordered"]["order_id"]))
        await till.spend(sleepers["issued"], 100_000)
        await till.spend(sleepers["partiallyRedeemed"], 100_000)
        await till.act(sleepers["blocked"], Unblock(reason="found", by="anna"))
        for one in (sleepers["blocked"], sleepers["pendingDetails"]):
            await self.looked_after(one)
        statuses = {name: (await till.row(one))["status"] for name, one in sleepers.items()}
        assert statuses == {
            "ordered": "issued",
            "issued": "partiallyRedeemed",
            "partiallyRedeemed": "partiallyRedeemed",
            "blocked": "issued",
            "pendingDetails": "partiallyRedeemed",
        }

    async def looked_after(self, certificate_id: str) -> None:
        """Signal a certificate that has nothing pending, and wait until its run has looked."""
        before = await self.completed(certificate_id)
        await self.orders.wake(certificate_id)

        async def looked() -> bool:
            return await self.completed(certificate_id) > before

        await until(looked)

    async def events(self, certificate_id: str) -> list[Any]:
        history = await self.client.get_workflow_handle(workflow_id(certificate_id)).fetch_history()
        return list(history.events)

    async def completed(self, certificate_id: str) -> int:
        return len(await self.led_by(certificate_id))

    async def led_by(self, certificate_id: str) -> list[str]:
        """The builds that did the steps of a certificate's newest run."""
        return [
            event.workflow_task_completed_event_attributes.deployment_version.build_id
            for event in await self.events(certificate_id)
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        ]

    async def failures(self) -> list[str]:
        """The runs, open or ended, of which a step has ever failed for its code."""
        return [
            run.id
            async for run in self.client.list_workflows('WorkflowType = "CertificateWorkflow"')
            async for event in self.client.get_workflow_handle(
                run.id, run_id=run.run_id
            ).fetch_history_events()
            if event.workflow_task_failed_event_attributes.cause in FAILURES
        ]


class OwnTill(Till):
    """A till at which certificates are spent in one step."""

    async def spend(self, certificate_id: str, amount: int) -> None:
        shown = await self.stock.credentials(certificate_id)
        reply = await self.redeem(shown, amount, uuid4().hex)
        await self.pay(certificate_id, reply.json()["redemptionId"], amount)


@pytest.fixture
async def world(fresh_database_url: str, tmp_path: Path, temporal_address: str) -> AsyncIterator[World]:
    keyring = tmp_path / "keyring.json"
    Keyring.create(keyring)
    create_signing_keys(tmp_path / "private.json", tmp_path / "jwks.json", embedded=False)
    settings = settings_for(fresh_database_url, tmp_path, keyring=keyring)
    settings, client = await with_own_namespace(settings, temporal_address)
    async with open_stock(settings) as stock, open_api(settings) as api:
        orders = LedOrders(stock, orders_of(stock).lifecycle, client)
        yield World(tmp_path, settings, client, stock, api, OwnTill(api, stock, orders), orders)


async def test_sleepers_of_every_state_move_to_a_changed_version_and_back_and_nothing_fails_or_waits(
    world: World,
) -> None:
    one = world.version("one")
    two = world.version("two", workflow=(LOOK, CHANGED_WORKFLOW), rule=CHANGED_RULE)
    assert one.build != two.build
    with one.worker():
        await world.until_led_by(one)
        asleep, later = await world.sleepers(), await world.sleepers()
        await world.stock.fill(1)
        reserved = (await world.api.next()).json()

        with two.worker(GIFTCERT_WORKER_PROMOTES="false"):
            await asyncio.to_thread(two.run, "deploy", "promote", "--percent", "50")
            both = set[str]()
            while len(both) < 2:  # each certificate by its own chance
                both.add((await world.led_by(await world.till.certificate_in("issued")))[-1])
            assert both == {one.build, two.build}

            await asyncio.to_thread(two.run, "deploy", "promote")
            await world.go_on(asleep)
            assert {(await world.led_by(sleeper))[-1] for sleeper in asleep.values()} == {two.build}
            await world.orders.tell(ordered("IM-reserved", reserved), captured("IM-reserved"))
            [issue] = [
                event["payload"]
                for event in await world.stock.events(reserved["certificateId"])
                if event["event_type"] == "issue.completed"
            ]
            validity = datetime.fromisoformat(issue["validUntil"]) - datetime.now(UTC)
            assert validity > timedelta(days=700), "the rule has not changed"

            back = await asyncio.to_thread(two.run, "deploy", "rollback")
            assert (back["build"], back["withdrawn"]) == (one.build, two.build)
            assert back["replaced"] >= len(asleep) + 1
            drained = await asyncio.to_thread(one.run, "deploy", "drain", two.build)
            assert drained["pinned"] == 0
        await world.go_on(later)
        again = await world.till.certificate_in("issued")
        for certificate_id in (*asleep.values(), *later.values(), reserved["certificateId"], again):
            await world.looked_after(certificate_id)
            assert (await world.led_by(certificate_id))[-1] == one.build
        status = await asyncio.to_thread(one.run, "deploy", "status")
    assert (status["current"], status["withoutWorkers"], status["stuck"]) == (one.build, [], [])
    assert await world.failures() == []
    assert await world.stock.rows("SELECT * FROM pending") == []

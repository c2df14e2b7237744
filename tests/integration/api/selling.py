"""Certificates sold for tests: through the real workflow, told of order and payment as ingest would tell it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client

from activities.temporal_client import connect
from giftcert.cli.namespace import ensure_namespace
from giftcert.domain.messages import Line, Message, OrderStated, OwnLine, PaymentCaptured, SpendingReported
from giftcert.settings import Settings
from tests.integration.api.calling import Api, Stock
from workflows.asking import ask
from workflows.certificate import CertificateWorkflow
from workflows.names import signal_of, task_queue, workflow_id
from workflows.requests import Request
from workflows.run_input import CertificateInput

WORTH = 500_000
"""The nominal of each, in minor units."""


async def with_own_namespace(settings: Settings, temporal_address: str) -> tuple[Settings, Client]:
    """Return settings of a namespace of its own, and a client of it."""
    own = {"temporal_address": temporal_address, "temporal_namespace": f"api-{uuid4().hex[:12]}"}
    settings = settings.model_copy(update=own)
    client = await connect(settings)
    await ensure_namespace(client)
    return settings, client


async def tell(client: Client, certificate_id: str, *messages: Message) -> None:
    """Signal messages to a certificate's workflow, which they start if none runs."""
    for message in messages:
        await client.start_workflow(
            CertificateWorkflow.run,
            CertificateInput(certificate_id=certificate_id),
            id=workflow_id(certificate_id),
            task_queue=task_queue("im"),
            start_signal=signal_of(message),
            start_signal_args=[message],
        )


def common(order_id: str) -> dict[str, Any]:
    """What all messages of an order say."""
    return {
        "cause": None,
        "occurred_at": datetime.now(UTC),
        "channel": "im",
        "order_id": order_id,
        "currency": "RUB",
    }


def sale_of(claim: dict[str, str], order_id: str = "IM-1") -> tuple[Message, ...]:
    """Return order and payment that sell a reserved certificate."""
    ordered = OrderStated(
        **common(order_id),
        key=f"o-{order_id}",
        order_version=1,
        customer_id="C-1",
        total=500_000,
        lines=(Line("1", Line.GIFT_CERTIFICATE, 500_000),),
        own=OwnLine("1", 500_000, reservation_id=claim["reservationId"]),
    )
    captured = PaymentCaptured(
        **common(order_id),
        key=f"p-{order_id}",
        payment_id=f"P-{order_id}",
        capture_id=None,
        tender="card",
        amount=500_000,
    )
    return ordered, captured


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that no event tells of."""
    while not await holds():  # noqa: ASYNC110 - what other processes store has no event here
        await asyncio.sleep(0.01)


@dataclass
class Till:
    """Sells certificates in the internet store, and lets one be spent at the till of a shop."""

    api: Api
    stock: Stock
    client: Client

    async def issued(self) -> tuple[str, dict[str, str]]:
        """Sell a certificate worth 5000.00 RUB; return its id, and number and CVC."""
        certificate_id = await self._told("issued", messages=2)
        return certificate_id, await self.stock.credentials(certificate_id)

    async def ordered(self) -> str:
        """Order a certificate that nobody has paid yet; return its id."""
        return await self._told("ordered", messages=1)

    async def _told(self, status: str, messages: int) -> str:
        await self.stock.fill(1)
        claim = (await self.api.next()).json()
        certificate_id: str = claim["certificateId"]
        sale = sale_of(claim, f"IM-{uuid4().hex[:8]}")
        await tell(self.client, certificate_id, *sale[:messages])
        await self.until_status(certificate_id, status)
        return certificate_id

    async def redeem(self, shown: dict[str, str], price: int, key: str, **others: Any) -> httpx.Response:
        """Ask the certificate to pay at the till."""
        return await redeem(self.api, shown, price, key, **others)

    async def get(self, redemption_id: str, channel: str = "pos") -> httpx.Response:
        headers = self.api.headers(subject="till", channels=[channel])
        return await self.api.client.get(f"/redemptions/{redemption_id}", headers=headers)

    async def void(self, redemption_id: str, key: str | None = None) -> httpx.Response:
        headers = self.api.headers(subject="till", key=key)
        return await self.api.client.delete(f"/redemptions/{redemption_id}", headers=headers)

    async def pay(
        self, certificate_id: str, redemption_id: str, amount: int, event: str = "captured"
    ) -> None:
        """Report what became of the money of a redemption."""
        message = SpendingReported(
            **common("POS-1") | {"channel": "pos"},
            key=f"{event}-{redemption_id}",
            event_type=f"payment.{event}",
            payment_id=f"P-{redemption_id}",
            redemption_id=redemption_id,
            amount=amount,
        )
        await tell(self.client, certificate_id, message)

    async def asks(self, certificate_id: str, request: Request) -> None:
        """Have the workflow do what somebody asks of it."""
        now = datetime.now(UTC)
        answer = await ask(self.client, certificate_id, "im", request, now + timedelta(seconds=30), now)
        assert answer.refusal is None

    async def until_stands(self, redemption_id: str, state: str) -> None:
        async def stands() -> bool:
            return bool((await self.get(redemption_id)).json()["status"] == state)

        await until(stands)

    async def until_status(self, certificate_id: str, status: str) -> None:
        async def reached() -> bool:
            return bool((await self.row(certificate_id))["status"] == status)

        await until(reached)

    async def row(self, certificate_id: str) -> dict[str, Any]:
        statement = "SELECT * FROM certificates WHERE certificate_id = :id"
        [row] = await self.stock.rows(statement, id=certificate_id)
        return row

    async def purse(self, certificate_id: str) -> tuple[int, int]:
        """Balance and held."""
        row = await self.row(certificate_id)
        return row["balance"], row["held"]

    async def told(self, certificate_id: str) -> list[str]:
        """What the stream tells of redemptions of a certificate."""
        events = await self.stock.events(certificate_id)
        return [one["event_type"] for one in events if one["event_type"].startswith("redemption.")]


async def redeem(api: Api, shown: dict[str, str], price: int, key: str, **others: Any) -> httpx.Response:
    """Ask a certificate to pay at the till of a shop."""
    money = {"amount": price, "currency": "RUB"}
    body = {"channel": "pos", "amount": money, "orderId": "POS-1"} | shown | others
    return await api.client.post("/redemptions", json=body, headers=api.headers(subject="till", key=key))


def key() -> str:
    return uuid4().hex


def assert_problem(reply: httpx.Response, status: int, name: str) -> None:
    assert (reply.status_code, reply.json()["type"]) == (status, f"/problems/{name}")

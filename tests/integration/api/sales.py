"""Certificates sold for tests: orders and payments are stored as ingest stores them, and decided at once."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.messages import Block, Request, Retire, SpendingKind, SpendingReported
from giftcert.domain.order.messages import (
    GIFT_CERTIFICATE,
    Allocation,
    OrderLine,
    OrderMessage,
    OrderStated,
    PaymentCaptured,
    PaymentRefunded,
)
from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.temporal.client import connect
from giftcert.temporal.namespace import ensure_namespace
from tests.folding import fold, report_spending
from tests.integration.api.api_client import Api, Stock

WORTH = 500_000
"""The nominal of each, in minor units."""


async def with_own_namespace(settings: Settings, temporal_address: str) -> tuple[Settings, Client]:
    """Return settings of a namespace of its own, and a client of it."""
    own = {"temporal_address": temporal_address, "temporal_namespace": f"api-{uuid4().hex[:12]}"}
    settings = settings.model_copy(update=own)
    client = await connect(settings)
    await ensure_namespace(client)
    return settings, client


@dataclass
class Orders:
    """Stores messages as ingest does; then the certificates decide at once, as their workflows would."""

    stock: Stock
    lifecycle: Lifecycle

    async def tell(self, *messages: OrderMessage) -> None:
        """Tell messages one after another."""
        for message in messages:
            async with self.stock.database.transaction() as connection:
                wakes = await fold(connection, [message], datetime.now(UTC), self.stock.settings.policy)
            await self._decide(wake.certificate_id for wake in wakes)

    async def spend(self, certificate_id: str, message: SpendingReported) -> None:
        """Tell of a payment with a certificate."""
        async with self.stock.database.transaction() as connection:
            await report_spending(connection, certificate_id, message, uuid4().hex, datetime.now(UTC))
        await self._decide([certificate_id])

    async def _decide(self, certificate_ids: Iterable[str]) -> None:
        waiting = list(dict.fromkeys(certificate_ids))
        while waiting:
            snapshot = await self.lifecycle.advance(waiting.pop(0), datetime.now(UTC))
            waiting += [wake.certificate_id for wake in snapshot.wakes]


def orders_of(stock: Stock) -> Orders:
    """Orders of a database, whose certificates decide as a worker beside the API would have them."""
    settings = stock.settings
    lifecycle = Lifecycle(
        stock.database,
        settings.policy,
        keyring_of(settings),
        web_url=settings.workflow_url,
        build="tests",
    )
    return Orders(stock, lifecycle)


def cause(event_id: str, channel: str = "im", topic: str = "All_SalesOrder") -> Cause:
    """The record that a message came in."""
    return Cause(topic, event_id, datetime.now(UTC), channel)


def ordered(order_id: str, *claims: dict[str, str], price: int = WORTH, version: int = 1) -> OrderStated:
    """An order of reserved certificates, each on a line of its own."""
    lines = tuple(
        OrderLine(
            line_id=str(nth),
            kind=GIFT_CERTIFICATE,
            amount=price,
            certificate_id=claim["certificateId"],
            reservation_id=claim["reservationId"],
        )
        for nth, claim in enumerate(claims, 1)
    )
    return OrderStated(
        cause=cause(f"so-{order_id}-{version}"),
        event_type="order.created" if version == 1 else "order.changed",
        order_id=order_id,
        version=version,
        channel="im",
        customer_id="C-1",
        currency="RUB",
        total=price * len(claims),
        lines=lines,
    )


def captured(order_id: str, amount: int = WORTH) -> PaymentCaptured:
    """The money of an order."""
    return PaymentCaptured(
        cause=cause(f"pay-{order_id}", topic="All_Payments"),
        order_id=order_id,
        payment_id=f"P-{order_id}",
        tender="card",
        amount=amount,
        currency="RUB",
    )


def refunded(order_id: str, amount: int = WORTH) -> PaymentRefunded:
    """The money of an order of one line, given back."""
    return PaymentRefunded(
        cause=cause(f"back-{order_id}", topic="All_Payments"),
        order_id=order_id,
        payment_id=f"P-{order_id}",
        refund_id=f"R-{order_id}",
        tender="card",
        amount=amount,
        currency="RUB",
        allocations=(Allocation("1", amount),),
    )


def spending(
    kind: SpendingKind, amount: int, *, redemption_id: str | None, payment_id: str, order_id: str = "POS-1"
) -> SpendingReported:
    """What became of the money of a purchase at the till."""
    return SpendingReported(
        cause=cause(uuid4().hex, channel="pos", topic="All_Payments"),
        kind=kind,
        order_id=order_id,
        payment_id=payment_id,
        redemption_id=redemption_id,
        amount=amount,
        currency="RUB",
    )


@dataclass
class Till:
    """Sells certificates in the internet store, and lets them be spent at the till of a shop."""

    api: Api
    stock: Stock
    orders: Orders

    async def issued(self) -> tuple[str, dict[str, str]]:
        """Sell a certificate worth 5000.00 RUB; return its id, and number and CVC."""
        certificate_id, order_id = await self._order()
        await self.orders.tell(captured(order_id))
        assert (await self.row(certificate_id))["status"] == "issued"
        return certificate_id, await self.stock.credentials(certificate_id)

    async def ordered(self) -> str:
        """Order a certificate that nobody has paid yet; return its id."""
        certificate_id, _ = await self._order()
        assert (await self.row(certificate_id))["status"] == "ordered"
        return certificate_id

    async def certificate_in(self, status: str) -> str:
        """Lead a certificate into a status on its ordinary way, and return its id."""
        match status:
            case "available" | "retired":
                await self.stock.fill(1)
                fresh = "SELECT certificate_id::text AS id FROM certificates WHERE sequence = 0 LIMIT 1"
                [row] = await self.stock.rows(fresh)
                if status == "retired":
                    await self.act(row["id"], Retire(reason="lost", by="olga"))
                return str(row["id"])
            case "reserved":
                await self.stock.fill(1)
                return str((await self.api.next()).json()["certificateId"])
            case "ordered":
                return await self.ordered()
        certificate_id, shown = await self.issued()
        match status:
            case "blocked":
                await self.act(certificate_id, Block(reason="stolen", by="anna"))
            case "partiallyRedeemed" | "redeemed":
                amount = WORTH if status == "redeemed" else 100_000
                redemption_id = (await self.redeem(shown, amount, key())).json()["redemptionId"]
                await self.pay(certificate_id, redemption_id, amount)
            case "refunded":
                await self.orders.tell(refunded((await self.row(certificate_id))["order_id"]))
            case "expired":
                later = datetime.now(UTC) + timedelta(days=400)
                await self.orders.lifecycle.advance(certificate_id, later)
        return certificate_id

    async def act(self, certificate_id: str, request: Request) -> None:
        """Have a certificate do what somebody asks."""
        outcome = await self.orders.lifecycle.act(certificate_id, request, datetime.now(UTC))
        assert outcome.refusal is None

    async def _order(self) -> tuple[str, str]:
        await self.stock.fill(1)
        claim = (await self.api.next()).json()
        order_id = f"IM-{uuid4().hex[:8]}"
        await self.orders.tell(ordered(order_id, claim))
        return claim["certificateId"], order_id

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
        self,
        certificate_id: str,
        redemption_id: str,
        amount: int,
        kind: SpendingKind = SpendingKind.CAPTURED,
    ) -> None:
        """Report what became of the money of a redemption."""
        message = spending(kind, amount, redemption_id=redemption_id, payment_id=f"P-{redemption_id}")
        await self.orders.spend(certificate_id, message)

    async def time_passes(self, certificate_id: str) -> None:
        """Let the certificate look at itself, as its workflow does when its timer fires."""
        row = await self.row(certificate_id)
        now = datetime.now(UTC)
        await self.orders.lifecycle.advance(certificate_id, max(now, row["next_instant"] or now))

    async def row(self, certificate_id: str) -> dict[str, Any]:
        statement = "SELECT * FROM certificates WHERE certificate_id = :id"
        [row] = await self.stock.rows(statement, id=certificate_id)
        return row

    async def purse(self, certificate_id: str) -> tuple[int, int]:
        """Balance and held."""
        row = await self.row(certificate_id)
        return row["balance"], row["held"]

    async def published(self, certificate_id: str) -> list[str]:
        """What the stream tells of redemptions of a certificate."""
        events = await self.stock.events(certificate_id)
        return [one["event_type"] for one in events if one["event_type"].startswith("redemption.")]


@asynccontextmanager
async def open_stock(settings: Settings) -> AsyncIterator[Stock]:
    """A filled database that settings lead to."""
    database = Database(settings.database_address)
    stock = Stock(database, settings)
    await stock.fill(0)
    yield stock
    await database.close()


async def redeem(api: Api, shown: dict[str, str], price: int, key: str, **others: Any) -> httpx.Response:
    """Ask a certificate to pay at the till of a shop."""
    money = {"amount": price, "currency": "RUB"}
    body = {"channel": "pos", "amount": money, "orderId": "POS-1"} | shown | others
    return await api.client.post("/redemptions", json=body, headers=api.headers(subject="till", key=key))


def key() -> str:
    return uuid4().hex


def assert_problem(reply: httpx.Response, status: int, name: str) -> None:
    assert (reply.status_code, reply.json()["type"]) == (status, f"/problems/{name}")

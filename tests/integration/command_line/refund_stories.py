"""Certificates whose refunds wait for a person, one for each reason, each led by its workflow on a real Temporal."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from temporalio.client import Client

from giftcert.domain.certificate.messages import SpendingReported
from giftcert.domain.order.messages import Allocation, OrderMessage
from giftcert.domain.products import Product
from giftcert.settings import Settings
from giftcert.temporal.client import connect
from giftcert.temporal.namespace import ensure_namespace
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate
from tests.folding import fold
from tests.integration.api.api_client import open_api, settings_for
from tests.integration.api.refund_desk import PRICE, Desk, Sold
from tests.integration.api.sales import (
    Orders,
    captured,
    key,
    open_stock,
    orders_of,
    redeem,
)
from tests.waiting import until
from worker import running

SOON = timedelta(seconds=1)
SHORT_LIVED = Product("GC-2000", "RUB", nominal=200_000, validity=timedelta(seconds=3))
SETTINGS: dict[str, Any] = {
    "access_log": False,
    "direct_spend_channels": ("pos",),
    "direct_spend_cap": PRICE,
    "refund_capture_wait": SOON,
    "refund_allocation_wait": SOON,
    "refund_payment_wait": SOON,
}


@dataclass
class LedOrders(Orders):
    """Messages that signal the workflows of the certificates which they concern, as ingest does."""

    client: Client

    async def tell(self, *messages: OrderMessage) -> None:
        """Commit and signal one after another, each decided before the next comes."""
        for message in messages:
            async with self.stock.database.transaction() as connection:
                wakes = await fold(connection, [message], datetime.now(UTC), self.stock.settings.policy)
            for wake in wakes:
                await signal_certificate(self.client, wake)
            await self._decide(wake.certificate_id for wake in wakes)

    async def spend(self, certificate_id: str, message: SpendingReported) -> None:
        await super().spend(certificate_id, message)
        await signal_certificate(
            self.client, Wake(certificate_id=certificate_id, signal=Signal.CERTIFICATE_SPENT, channel="im")
        )


@dataclass
class Stories(Desk):
    """Refunds of which each comes to wait for a person for a reason of its own."""

    client: Client

    async def tell_all(self) -> dict[str, Sold]:
        """Return the certificate of each reason, once its case waits."""
        published = {reason: await story(self) for reason, story in STORIES.items()}
        for reason, sold in published.items():
            await self.until_waiting(sold, reason)
        return published

    async def until_waiting(self, sold: Sold, reason: str) -> None:
        """Wait until the Web UI lists the certificate with this reason."""
        query = f'WorkflowId="certificate-{sold.certificate_id}" AND RefundReason="{reason}"'

        async def is_listed() -> bool:
            return (await self.client.count_workflows(query)).count == 1

        await until(is_listed)

    async def redeemed(self) -> Sold:
        sold, _ = await self.spent_and_refunded()
        return sold

    async def held(self) -> Sold:
        sold = await self.sell()
        shown = await self.stock.credentials(sold.certificate_id)
        assert (await redeem(self.api, shown, 200_000, key())).status_code == 201
        await self.refund(sold)
        return sold

    async def expired(self) -> Sold:
        sold = await self.sell(SHORT_LIVED.nominal or 0, product=SHORT_LIVED, paid=False)
        await self.pay(sold, SHORT_LIVED.nominal or 0)

        async def is_over() -> bool:
            return bool((await self.row(sold))["status"] == "expired")

        await until(is_over)
        await self.refund(sold, SHORT_LIVED.nominal or 0)
        return sold

    async def blocked(self) -> Sold:
        sold = await self.sell()
        await self.act(sold, "block", reason="reported as stolen")
        await self.refund(sold)
        return sold

    async def short(self) -> Sold:
        sold = await self.sell()
        await self.refund(sold, 200_000)
        return sold

    async def handed_back(self) -> Sold:
        sold = await self.sell()
        await self.hand_back(sold)
        return sold

    async def in_doubt(self) -> Sold:
        sold, _ = await self.sell_two()
        await self.refund(sold, allocated=False)
        return sold

    async def too_much(self) -> Sold:
        sold = await self.sell()
        await self.refund(sold, PRICE + 100_000)
        return sold

    async def twice(self) -> Sold:
        sold = await self.sell()
        await self.refund(sold)
        again = replace(captured(sold.order_id), allocations=(Allocation(sold.line_id, PRICE),))
        await self.orders.tell(again)
        await self.refund(sold)
        return sold

    async def never_paid(self) -> Sold:
        sold = await self.sell(paid=False)
        await self.refund(sold)
        return sold

    async def foreign(self) -> Sold:
        sold = await self.sell()
        await self.refund(sold, 6_000, currency="EUR")
        return sold


STORIES: Mapping[str, Callable[[Stories], Awaitable[Sold]]] = MappingProxyType(
    {
        "certificateRedeemed": Stories.redeemed,
        "redemptionInProgress": Stories.held,
        "certificateExpired": Stories.expired,
        "certificateBlocked": Stories.blocked,
        "amountMismatch": Stories.short,
        "refundPaymentMissing": Stories.handed_back,
        "allocationMissing": Stories.in_doubt,
        "exceedsCaptured": Stories.too_much,
        "alreadyRefunded": Stories.twice,
        "notCaptured": Stories.never_paid,
        "currencyMismatch": Stories.foreign,
    }
)


@asynccontextmanager
async def open_stories(
    database_url: str, temporal: Mapping[str, Any], folder: Path, **others: Any
) -> AsyncIterator[tuple[Stories, Settings]]:
    """Open a desk whose certificates are led by a worker of this process, in a namespace of their language."""
    found = {name: temporal[name] for name in ("temporal_address", "temporal_ui_url")}
    namespace = f"gift-certificates-{others.get('language', 'en')}"
    settings = settings_for(database_url, folder, temporal_namespace=namespace, **found, **SETTINGS, **others)
    client = await connect(settings)
    await ensure_namespace(client)
    async with open_stock(settings) as stock:
        await stock.fill(0, SHORT_LIVED)
        async with open_api(settings) as api, running(settings):
            plain = orders_of(stock)
            yield Stories(api, stock, LedOrders(stock, plain.lifecycle, client), client), settings

"""Refunds of certificates that tests sold, and the persons who decide them."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from giftcert.domain.certificate.messages import SpendingKind
from giftcert.domain.order.messages import Allocation, LinesReturned, OrderCancelled, PaymentRefunded
from giftcert.domain.products import Product
from tests.integration.api.api_client import FIXED, Api, Stock
from tests.integration.api.sales import Orders, captured, cause, ordered, spending

PRICE = 500_000


@dataclass(frozen=True)
class Sold:
    """A certificate on a line of an order."""

    certificate_id: str
    order_id: str
    line_id: str = "1"


@dataclass
class Desk:
    """Where refunds come in and are decided."""

    api: Api
    stock: Stock
    orders: Orders

    async def sell(self, price: int = PRICE, *, paid: bool = True, product: Product = FIXED) -> Sold:
        """One certificate, ordered, and paid unless it cost nothing or shall wait."""
        [sold] = await self._order(1, price, product)
        if price and paid:
            await self.pay(sold)
        assert (await self.row(sold))["status"] == ("issued" if paid else "ordered")
        return sold

    async def sell_two(self) -> list[Sold]:
        """Two certificates in one order, both issued."""
        both = await self._order(2, PRICE)
        await self.pay(both[0], 2 * PRICE)
        assert [(await self.row(sold))["status"] for sold in both] == ["issued", "issued"]
        return both

    async def _order(self, quantity: int, price: int, product: Product = FIXED) -> list[Sold]:
        await self.stock.fill(quantity, product)
        order_id = f"IM-{uuid4().hex[:8]}"
        claims = [(await self.api.next(product=product.id)).json() for _ in range(quantity)]
        await self.orders.tell(ordered(order_id, *claims, price=price))
        return [Sold(claim["certificateId"], order_id, str(nth)) for nth, claim in enumerate(claims, 1)]

    async def pay(self, sold: Sold, amount: int = PRICE) -> None:
        await self.orders.tell(captured(sold.order_id, amount))

    async def refund(
        self, sold: Sold, amount: int = PRICE, *, allocated: bool = True, currency: str = "RUB"
    ) -> None:
        """Send money of this line, or of nobody knows which line of its order, back."""
        refund_id = f"R-{uuid4().hex[:8]}"
        message = PaymentRefunded(
            cause=cause(refund_id, topic="All_Payments"),
            order_id=sold.order_id,
            payment_id=f"P-{sold.order_id}",
            refund_id=refund_id,
            tender="card",
            amount=amount,
            currency=currency,
            allocations=(Allocation(sold.line_id, amount),) if allocated else (),
        )
        await self.orders.tell(message)

    async def hand_back(self, sold: Sold) -> None:
        """The line is returned; its money has not come back yet."""
        message = LinesReturned(
            cause=cause(f"back-{sold.order_id}"),
            order_id=sold.order_id,
            version=2,
            channel="im",
            line_ids=(sold.line_id,),
        )
        await self.orders.tell(message)

    async def cancel(self, sold: Sold) -> None:
        """The whole order is cancelled."""
        message = OrderCancelled(
            cause=cause(f"cancel-{sold.order_id}"),
            order_id=sold.order_id,
            version=2,
            channel="im",
            line_ids=None,
        )
        await self.orders.tell(message)

    async def spend(self, sold: Sold, amount: int) -> None:
        """Spend directly, as the channel ``pos`` of these tests may."""
        message = spending(SpendingKind.CAPTURED, amount, redemption_id=None, payment_id="P-POS")
        await self.orders.spend(sold.certificate_id, message)

    async def case_of(self, sold: Sold, state: str) -> str:
        """Return the refund case of a certificate, which is in this state."""
        assert (await self.row(sold))["refund_state"] == state
        events = await self.stock.events(sold.certificate_id)
        cases = [one["payload"]["refundCaseId"] for one in events if "refundCaseId" in one["payload"]]
        return str(cases[-1])

    async def spent_and_refunded(self, spent: int = 100_000) -> tuple[Sold, str]:
        """A certificate of which something was spent, and whose whole price is back: a person has to decide."""
        sold = await self.sell()
        await self.spend(sold, spent)
        await self.refund(sold)
        return sold, await self.case_of(sold, "pendingDetails")

    async def resolve(
        self, case: str, decision: str = "approve", by: str = "anna", key: str | None = None, **others: Any
    ) -> httpx.Response:
        body = {"decision": decision, "note": "agreed with the buyer"} | others
        headers = self.api.headers("support", subject=by, key=key)
        return await self.api.client.post(f"/refunds/{case}/resolution", json=body, headers=headers)

    async def act(
        self, sold_or_id: "Sold | str", what: str, role: str = "support", **body: Any
    ) -> httpx.Response:
        """Block, unblock, or ask for another notification."""
        certificate_id = sold_or_id.certificate_id if isinstance(sold_or_id, Sold) else sold_or_id
        headers = self.api.headers(role, subject="anna", key=body.pop("key", None))
        path = f"/certificates/{certificate_id}/{what}"
        return await self.api.client.post(path, json=body or None, headers=headers)

    async def row(self, sold: Sold) -> dict[str, Any]:
        statement = "SELECT * FROM certificates WHERE certificate_id = :id"
        [row] = await self.stock.rows(statement, id=sold.certificate_id)
        return row

    async def published(self, sold: Sold, beginning: str = "refund.") -> list[str]:
        """What the stream tells of the certificate, by the beginning of the types."""
        events = await self.stock.events(sold.certificate_id)
        return [one["event_type"] for one in events if one["event_type"].startswith(beginning)]

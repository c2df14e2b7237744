"""Refunds of certificates that tests sold through the real workflow, and the persons who decide them."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client

from giftcert.domain.messages import (
    Allocation,
    Line,
    LinesReturned,
    OrderStated,
    OwnLine,
    PaymentCaptured,
    PaymentRefunded,
    SpendingReported,
)
from tests.integration.api.calling import Api, Stock
from tests.integration.api.selling import common, tell, until

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
    client: Client

    async def sell(self, price: int = PRICE, *, paid: bool = True) -> Sold:
        """One certificate, ordered, and paid unless it cost nothing or shall wait."""
        [sold] = await self._order([price])
        if price and paid:
            await self.pay(sold)
        await self.until_status(sold, "issued" if paid else "ordered")
        return sold

    async def sell_two(self) -> list[Sold]:
        """Two certificates in one order, both issued."""
        both = await self._order([PRICE, PRICE])
        order_id = both[0].order_id
        await self.stock.run(
            "INSERT INTO orders (order_id, version, snapshot) VALUES (:id, 1, '{}')", id=order_id
        )
        for sold in both:
            await self.stock.run(
                "INSERT INTO order_certificates (order_id, certificate_id) VALUES (:id, :certificate)",
                id=order_id,
                certificate=sold.certificate_id,
            )
            await self.pay(sold, 2 * PRICE)
            await self.until_status(sold, "issued")
        return both

    async def _order(self, prices: list[int]) -> list[Sold]:
        await self.stock.fill(len(prices))
        order_id = f"IM-{uuid4().hex[:8]}"
        lines = tuple(
            Line(str(nth), Line.GIFT_CERTIFICATE, price) for nth, price in enumerate(prices, start=1)
        )
        sold = []
        for line in lines:
            claim = (await self.api.next()).json()
            one = Sold(claim["certificateId"], order_id, line.line_id)
            ordered = OrderStated(
                **common(order_id),
                key=f"o-{order_id}",
                order_version=1,
                customer_id="C-1",
                total=sum(prices),
                lines=lines,
                own=OwnLine(line.line_id, line.amount, reservation_id=claim["reservationId"]),
            )
            await tell(self.client, one.certificate_id, ordered)
            sold.append(one)
        return sold

    async def pay(self, sold: Sold, amount: int = PRICE) -> None:
        captured = PaymentCaptured(
            **common(sold.order_id),
            key=f"p-{sold.order_id}",
            payment_id=f"P-{sold.order_id}",
            capture_id=None,
            tender="card",
            amount=amount,
        )
        await tell(self.client, sold.certificate_id, captured)

    async def refund(
        self, *sold: Sold, amount: int = PRICE, allocated: bool = True, currency: str = "RUB"
    ) -> None:
        """Send money of the first one's line, or of nobody knows which line, back."""
        one, refund_id = sold[0], f"R-{uuid4().hex[:8]}"
        message = PaymentRefunded(
            **common(one.order_id) | {"currency": currency},
            key=refund_id,
            payment_id=f"P-{one.order_id}",
            refund_id=refund_id,
            tender="card",
            amount=amount,
            allocations=(Allocation(one.line_id, amount),) if allocated else (),
        )
        for each in sold:
            await tell(self.client, each.certificate_id, message)

    async def hand_back(self, sold: Sold) -> None:
        """The line is returned; its money has not come back yet."""
        message = LinesReturned(
            cause=None,
            **{name: common(sold.order_id)[name] for name in ("occurred_at", "channel", "order_id")},
            key=f"back-{sold.order_id}",
            order_version=2,
            line_ids=(sold.line_id,),
        )
        await tell(self.client, sold.certificate_id, message)

    async def spend(self, sold: Sold, amount: int) -> None:
        """Spend directly, as the channel ``pos`` of these tests may."""
        message = SpendingReported(
            **common("POS-1") | {"channel": "pos"},
            key=f"spent-{sold.certificate_id}",
            event_type="payment.captured",
            payment_id="P-POS",
            redemption_id=None,
            amount=amount,
        )
        await tell(self.client, sold.certificate_id, message)

    async def case_of(self, sold: Sold, state: str) -> str:
        """Wait until a refund of the certificate is in a state, and return the case."""

        async def reached() -> bool:
            return bool((await self.row(sold))["refund_state"] == state)

        await until(reached)
        told = [
            one for one in await self.stock.events(sold.certificate_id) if "refundCaseId" in one["payload"]
        ]
        return str(told[-1]["payload"]["refundCaseId"])

    async def spent_and_refunded(self, spent: int = 100_000) -> tuple[Sold, str]:
        """A certificate of which something was spent, and whose whole price is back: a person has to decide."""
        sold = await self.sell()
        await self.spend(sold, spent)
        await self.until_status(sold, "partiallyRedeemed")
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

    async def until_status(self, sold: Sold, status: str) -> None:
        async def reached() -> bool:
            return bool((await self.row(sold))["status"] == status)

        await until(reached)

    async def row(self, sold: Sold) -> dict[str, Any]:
        statement = "SELECT * FROM certificates WHERE certificate_id = :id"
        [row] = await self.stock.rows(statement, id=sold.certificate_id)
        return row

    async def told(self, sold: Sold, beginning: str = "refund.") -> list[str]:
        """What the stream tells of the certificate, by the beginning of the types."""
        events = await self.stock.events(sold.certificate_id)
        return [one["event_type"] for one in events if one["event_type"].startswith(beginning)]

"""Customers and the people around them: what each can do, and what of it goes into the book."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from chaos.oracle import Line, Purchase
from chaos.partners import PRODUCT, Partners
from simulators import messages, tender
from simulators.baskets import certificate_order, goods_for
from simulators.messages import Order
from simulators.service import Certificate, Disclosure, RefusedError, Reservation

FULL = 500_000


@dataclass(frozen=True, slots=True)
class Sale:
    """An order of a certificate, and its line in the book."""

    order: Order
    line: Line

    @property
    def certificate_id(self) -> str:
        """The certificate that the line names now."""
        return self.line.certificates[-1]


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody in one channel of the partners."""

    partners: Partners
    channel: str

    async def reserve(self) -> Reservation:
        """Take a certificate out of the pool; however often it is asked for, it is one."""
        wanted = {"channel": self.channel, "product": PRODUCT}
        began = self.partners.history.begin()
        answer = await self.partners.ask("channel", "GET", "/certificates/next", params=wanted)
        reservation = msgspec.json.decode(answer.content, type=Reservation)
        self.partners.history.end(began, reservation.certificate_id, "reserve", reservation.reservation_id)
        self.partners.book.hand_out(reservation.certificate_id)
        return reservation

    async def give_back(self, reservation: Reservation) -> None:
        """Put a certificate back into the pool that nobody has ordered."""
        certificate_id, reservation_id = reservation.certificate_id, reservation.reservation_id
        self.partners.book.given_back.add(certificate_id)
        began = self.partners.history.begin()
        await self.partners.ask("channel", "DELETE", f"/reservations/{reservation_id}")
        self.partners.history.end(began, certificate_id, "release", reservation_id)

    def new_order_id(self) -> str:
        """Return a name for the next order."""
        return f"{self.channel.upper()}-{self.partners.run}-{next(self.partners.numbers)}"

    async def order(self, *, goods: int = 0) -> Sale:
        """Reserve a certificate and order it, after so many articles."""
        reservation = await self.reserve()
        order = certificate_order(self.new_order_id(), [reservation], goods=goods)
        line = Line(order.order_id, FULL, reservation.nominal.amount, [reservation.certificate_id])
        self.partners.book.lines.append(line)
        await self.partners.write(messages.order_created(order))
        return Sale(order, line)

    async def pay(self, sale: Sale) -> None:
        """Promise and take the money of an order."""
        sale.line.captured = FULL
        await self.partners.write(messages.payment_authorized(sale.order))
        await self.partners.write(messages.payment_captured(sale.order))

    async def buy(self, *, goods: int = 0) -> Sale:
        """Order a certificate, pay, and wait until it is issued."""
        sale = await self.order(goods=goods)
        await self.pay(sale)
        await self.partners.until_published(sale.certificate_id, "notification.requested")
        return sale

    async def letter(self, sale: Sale) -> Disclosure:
        """Have CRM fetch number and CVC for the letter that was asked for."""
        asked = await self.partners.until_published(sale.certificate_id, "notification.requested")
        why = {"purpose": "notification", "notificationId": asked.text("notificationId") or ""}
        answer = await self.partners.ask("crm", "GET", f"/certificates/{sale.certificate_id}/cvc", params=why)
        return msgspec.json.decode(answer.content, type=Disclosure)

    async def hold(self, sale: Sale, shown: Disclosure, amount: int) -> tuple[Purchase, tender.Purchase]:
        """Have the certificate hold what a basket costs.

        Raises:
            RefusedError: it does not pay for this.
        """
        basket = goods_for(self.channel, self.new_order_id(), amount)
        asked = {
            "channel": self.channel,
            "number": shown.number,
            "cvc": shown.cvc,
            "amount": {"amount": amount, "currency": basket.currency},
            "orderId": basket.order_id,
        }
        began, history = self.partners.history.begin(), self.partners.history
        try:
            answer = await self.partners.ask("channel", "POST", "/redemptions", json=asked)
        except RefusedError as refusal:
            if refusal.problem == "insufficient-balance":
                history.end(began, sale.certificate_id, "refuse", basket.order_id, amount)
            raise
        held: dict[str, Any] = answer.json()
        history.end(began, sale.certificate_id, "hold", held["redemptionId"], amount)
        purchase = Purchase(amount, held["redemptionId"])
        sale.line.purchases.append(purchase)
        return purchase, tender.Purchase(basket, sale.certificate_id, amount, purchase.redemption_id)

    async def void(self, sale: Sale, purchase: Purchase) -> None:
        """Give back by a call what a basket holds."""
        purchase.given_up = True
        began = self.partners.history.begin()
        await self.partners.ask("channel", "DELETE", f"/redemptions/{purchase.redemption_id}")
        self.partners.history.end(began, sale.certificate_id, "void", str(purchase.redemption_id))

    async def look(self, sale: Sale) -> None:
        """Have support look at what is left of a certificate."""
        began = self.partners.history.begin()
        answer = await self.partners.ask("support", "GET", f"/certificates/{sale.certificate_id}")
        seen = msgspec.json.decode(answer.content, type=Certificate)
        if seen.balance and seen.held:
            amounts = (seen.balance.amount, seen.held.amount)
            self.partners.history.end(began, sale.certificate_id, "read", "", *amounts)

    async def spend(self, sale: Sale, amount: int, captured: int | None = None) -> tender.Purchase:
        """Hold what a basket costs and take it, or less, and wait until it is spent."""
        purchase, paid = await self.hold(sale, await self.letter(sale), amount)
        await self.capture(purchase, paid, amount if captured is None else captured)
        await self.until_spent(sale)
        return paid

    async def capture(self, purchase: Purchase, paid: tender.Purchase, amount: int) -> None:
        """Take the money of a basket from the certificate; when it is spent, the stream says."""
        purchase.captured = amount
        redemption_id = purchase.redemption_id or paid.order.order_id
        kind = "capture" if purchase.redemption_id else "spend"
        self.partners.history.open(paid.certificate_id, kind, redemption_id, amount)
        await self.partners.write(messages.order_created(paid.order))
        await self.partners.write(tender.spending_captured(paid, amount))

    async def until_spent(self, sale: Sale) -> None:
        """Wait until everything that was taken is published."""
        spent = sum(1 for purchase in sale.line.purchases if purchase.captured)
        await self.partners.until_published(sale.certificate_id, "redemption.captured", spent)

    async def refund(self, sale: Sale, amount: int = FULL, number: int = 1) -> None:
        """Give money of the certificate's line back; ``number`` distinguishes several refunds of it."""
        sale.line.refunded += amount
        message = messages.payment_refunded(sale.order, sale.order.certificate_lines[0], amount)
        refund_id = f"{message.refund_id}-{number}"
        await self.partners.write(msgspec.structs.replace(message, refund_id=refund_id))

    async def decide(self, sale: Sale, waits: str, decision: Literal["approve", "reject"]) -> None:
        """Have support decide the refund of the event."""
        published = await self.partners.until_published(sale.certificate_id, waits)
        sale.line.decision = decision
        path = f"/refunds/{published.text('refundCaseId')}/resolution"
        decided = {"decision": decision, "note": "agreed with the buyer"}
        await self.partners.ask("support", "POST", path, json=decided)

    async def support(self, sale: Sale, what: str) -> None:
        """Have support block a certificate, unblock it, or have its client written to once more."""
        match what:
            case "notifications":
                sale.line.letters += 1
            case _:
                sale.line.is_blocked = what == "block"
                sale.line.blocks += what == "block"
        reason = {} if what == "notifications" else {"json": {"reason": "asked for by the buyer"}}
        await self.partners.ask("support", "POST", f"/certificates/{sale.certificate_id}/{what}", **reason)

    async def withdraw(self, sale: Sale, message: messages.OrderMessage) -> None:
        """Return or cancel the line."""
        sale.line.withdrawn = True
        await self.partners.write(message)

    async def exchange(self, sale: Sale) -> Sale:
        """Put another certificate on the line, before it is paid."""
        reservation = await self.reserve()
        sale.line.certificates.append(reservation.certificate_id)
        order = certificate_order(sale.order.order_id, [reservation])
        order = msgspec.structs.replace(order, customer_id=sale.order.customer_id)
        await self.partners.write(messages.order_changed(order))
        return replace(sale, order=order)

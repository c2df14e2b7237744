"""Customers: each buys a certificate and then spends, returns, exchanges or cancels it, and writes it into the book."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import msgspec

from chaos.oracle import Line, Purchase
from chaos.partners import PRODUCT, Partners
from simulators import messages, tender
from simulators.baskets import certificate_order, goods_for
from simulators.messages import Order
from simulators.service import Disclosure, Reservation

FULL = 500_000
DIRECT_SPENDING = {"GIFTCERT_DIRECT_SPEND_CHANNELS": '["pos"]', "GIFTCERT_DIRECT_SPEND_CAP": "200000"}
"""What the service must be set to, so that tills may take money without having held it."""


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
        answer = await self.partners.ask("channel", "GET", "/certificates/next", params=wanted)
        reservation = msgspec.json.decode(answer.content, type=Reservation)
        self.partners.book.hand_out(reservation.certificate_id)
        return reservation

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
        answer = await self.partners.ask("channel", "POST", "/redemptions", json=asked)
        held: dict[str, Any] = answer.json()
        purchase = Purchase(amount, held["redemptionId"])
        sale.line.purchases.append(purchase)
        return purchase, tender.Purchase(basket, sale.certificate_id, amount, purchase.redemption_id)

    async def spend(self, sale: Sale, amount: int, captured: int | None = None) -> tender.Purchase:
        """Hold what a basket costs and take it, or less, and wait until it is spent."""
        purchase, paid = await self.hold(sale, await self.letter(sale), amount)
        await self.capture(purchase, paid, amount if captured is None else captured)
        await self.until_spent(sale)
        return paid

    async def capture(self, purchase: Purchase, paid: tender.Purchase, amount: int) -> None:
        """Take the money of a basket from the certificate."""
        purchase.captured = amount
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


# Spending ------------------------------------------------------------------------------------------


async def sends_it_all_again(customer: Customer) -> None:
    """A till that repeats its day under new event ids."""
    sale = await customer.buy(goods=1)
    order, payment = messages.order_created(sale.order), messages.payment_captured(sale.order)
    for message in (order, payment):
        await customer.partners.write(message)


async def spends_in_part(customer: Customer) -> None:
    """Less is taken than was held."""
    await customer.spend(await customer.buy(), 200_000, 120_000)


async def spends_all(customer: Customer) -> None:
    """In two baskets."""
    sale = await customer.buy()
    await customer.spend(sale, 200_000)
    await customer.spend(sale, 300_000)


async def spends_without_hold(customer: Customer) -> None:
    """At a till, which needs no hold."""
    sale = await customer.buy()
    till = replace(customer, channel="pos")
    purchase = Purchase(150_000)
    sale.line.purchases.append(purchase)
    basket = goods_for("pos", till.new_order_id(), purchase.amount)
    await till.capture(
        purchase, tender.Purchase(basket, sale.certificate_id, purchase.amount), purchase.amount
    )


async def spends_twice_at_once(customer: Customer) -> None:
    """Two baskets want the whole certificate in the same moment; one gets it."""
    sale = await customer.buy()
    shown = await customer.letter(sale)
    holds = await asyncio.gather(
        *(customer.hold(sale, shown, FULL) for _ in range(2)), return_exceptions=True
    )
    granted = [held for held in holds if isinstance(held, tuple)]
    for held in holds:
        if isinstance(held, BaseException):
            if str(held) != "409 insufficient-balance":
                raise held
            sale.line.refused += 1
    for purchase, paid in granted:
        await customer.capture(purchase, paid, FULL)
    if not granted:
        customer.partners.book.faults.append(f"certificate {sale.certificate_id}: neither basket got it")


async def gives_up(customer: Customer) -> None:
    """One basket is given up with a call, one by its payment."""
    sale = await customer.buy()
    shown = await customer.letter(sale)
    called, _ = await customer.hold(sale, shown, 100_000)
    called.given_up = True
    await customer.partners.ask("channel", "DELETE", f"/redemptions/{called.redemption_id}")
    written, paid = await customer.hold(sale, shown, 150_000)
    written.given_up = True
    await customer.partners.write(tender.spending_voided(paid))


async def brings_goods_back(customer: Customer) -> None:
    """Part of what was spent comes back onto the certificate, then another part."""
    sale = await customer.buy()
    paid = await customer.spend(sale, 200_000)
    for number, amount in enumerate((50_000, 30_000), start=1):
        sale.line.purchases[0].restored += amount
        await customer.partners.write(tender.spending_refunded(paid, amount, number))


# Refunds -------------------------------------------------------------------------------------------


async def returns(customer: Customer) -> None:
    """The line comes back and its money goes back, in any order."""
    sale = await customer.buy(goods=1)
    returned = messages.order_returned(sale.order, (sale.order.certificate_lines[0].line_id,))
    await asyncio.gather(customer.withdraw(sale, returned), customer.refund(sale))


async def is_refunded_in_halves(customer: Customer) -> None:
    """Nobody says why."""
    sale = await customer.buy()
    await customer.refund(sale, FULL // 2, 1)
    await customer.refund(sale, FULL // 2, 2)


async def is_refunded_in_part(customer: Customer) -> None:
    """Support takes as much from the certificate as went back."""
    sale = await customer.buy()
    await customer.refund(sale, 200_000)
    await customer.decide(sale, "refund.requested", "approve")


async def is_refunded_after_spending(customer: Customer) -> None:
    """The money of a spent certificate goes back; support takes what is left of it."""
    sale = await customer.buy()
    await customer.spend(sale, 200_000)
    await customer.refund(sale)
    await customer.decide(sale, "refund.pendingDetails", "approve")


async def is_refunded_and_keeps_the_rest(customer: Customer) -> None:
    """The money of a spent certificate goes back, and support lets it work on."""
    sale = await customer.buy()
    await customer.spend(sale, 200_000)
    await customer.refund(sale)
    await customer.decide(sale, "refund.pendingDetails", "reject")


async def waits_for_support(customer: Customer) -> None:
    """Nobody decides about the money of a spent certificate."""
    sale = await customer.buy()
    await customer.spend(sale, 200_000)
    await customer.refund(sale)


# Changes and cancellations -------------------------------------------------------------------------


async def exchanges(customer: Customer) -> None:
    """Another certificate is on the line before it is paid."""
    sale = await customer.exchange(await customer.order())
    await customer.partners.until_published(sale.certificate_id, "issue.ordered")
    await customer.pay(sale)


async def exchanges_while_paying(customer: Customer) -> None:
    """Money and change cross: one of the two certificates is issued."""
    sale = await customer.order()
    sale.line.crossed = True
    await asyncio.gather(customer.exchange(sale), customer.pay(sale))


async def cancels(customer: Customer) -> None:
    """Nothing was paid."""
    sale = await customer.order()
    await customer.withdraw(sale, messages.order_cancelled(sale.order))


async def cancels_after_paying(customer: Customer) -> None:
    """What was paid goes back."""
    sale = await customer.buy()
    await customer.withdraw(sale, messages.order_cancelled(sale.order))
    await customer.refund(sale)


async def cancels_while_paying(customer: Customer) -> None:
    """Money and cancellation cross: the money goes back, whether the certificate was issued or not."""
    sale = await customer.order()
    sale.line.crossed = True
    await asyncio.gather(customer.withdraw(sale, messages.order_cancelled(sale.order)), customer.pay(sale))
    await customer.partners.until_published(sale.certificate_id, "refund.requested")
    await customer.refund(sale)


async def cancels_and_waits(customer: Customer) -> None:
    """What was paid has not gone back yet."""
    sale = await customer.buy()
    await customer.withdraw(sale, messages.order_cancelled(sale.order))


Story: TypeAlias = Callable[[Customer], Awaitable[None]]

STORIES: Mapping[str, Story] = {
    story.__name__.replace("_", " "): story
    for story in (
        *(
            sends_it_all_again,
            spends_in_part,
            spends_all,
            spends_without_hold,
            spends_twice_at_once,
            gives_up,
        ),
        *(brings_goods_back, returns, is_refunded_in_halves, is_refunded_in_part, is_refunded_after_spending),
        *(is_refunded_and_keeps_the_rest, waits_for_support, exchanges, exchanges_while_paying, cancels),
        *(cancels_after_paying, cancels_while_paying, cancels_and_waits),
    )
}

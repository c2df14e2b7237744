"""What customers do, each one thing: buy a certificate, then spend, return, exchange or cancel it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TypeAlias

from chaos.customers import FULL, Customer
from chaos.oracle import Purchase
from simulators import messages, tender
from simulators.baskets import goods_for
from simulators.service import RefusedError

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
    await customer.void(sale, called)
    written, paid = await customer.hold(sale, shown, 150_000)
    written.given_up = True
    customer.partners.history.open(sale.certificate_id, "void", str(written.redemption_id))
    await customer.partners.write(tender.spending_voided(paid))


async def brings_goods_back(customer: Customer) -> None:
    """Part of what was spent comes back onto the certificate, then another part."""
    sale = await customer.buy()
    paid = await customer.spend(sale, 200_000)
    for number, amount in enumerate((50_000, 30_000), start=1):
        sale.line.purchases[0].restored += amount
        customer.partners.history.open(sale.certificate_id, "restore", "", amount)
        await customer.partners.write(tender.spending_refunded(paid, amount, number))


async def is_shown_at_three_tills(customer: Customer) -> None:
    """Each holds, looks and gives up or pays, all in the same moment, and together they want more than there is."""
    sale = await customer.buy()
    shown = await customer.letter(sale)

    async def till(amount: int, *, pays: bool) -> None:
        try:
            purchase, paid = await customer.hold(sale, shown, amount)
        except RefusedError as refusal:
            if refusal.problem != "insufficient-balance":
                raise
            sale.line.refused += 1
            return
        await customer.look(sale)
        await (customer.capture(purchase, paid, amount) if pays else customer.void(sale, purchase))
        await customer.look(sale)

    async with asyncio.TaskGroup() as tills:
        for amount, pays in ((300_000, True), (250_000, False), (150_000, True)):
            tills.create_task(till(amount, pays=pays))
    await customer.until_spent(sale)


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


# People --------------------------------------------------------------------------------------------


async def is_blocked(customer: Customer) -> None:
    """The letter was stolen."""
    await customer.support(await customer.buy(), "block")


async def is_blocked_for_a_while(customer: Customer) -> None:
    """And then spends."""
    sale = await customer.buy()
    await customer.support(sale, "block")
    await customer.support(sale, "unblock")
    await customer.spend(sale, 100_000)


async def asks_for_another_letter(customer: Customer) -> None:
    """The first never came."""
    sale = await customer.buy()
    await customer.support(sale, "notifications")
    await customer.look(sale)


async def only_looks_around(customer: Customer) -> None:
    """The basket is given up before there is an order."""
    await customer.give_back(await customer.reserve())


Story: TypeAlias = Callable[[Customer], Coroutine[None, None, None]]

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
        *(cancels_after_paying, cancels_while_paying, cancels_and_waits, is_shown_at_three_tills),
        *(is_blocked, is_blocked_for_a_while, asks_for_another_letter, only_looks_around),
    )
}

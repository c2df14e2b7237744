"""What a certificate does not pay for. Where the goods have left the shop all the same, somebody has to know."""

import asyncio

from simulators.demo.outcomes import ISSUED
from simulators.demo.play import Play
from simulators.demo.stories.parts import (
    FULL,
    HELD,
    SHORT_HOLD,
    TAKEN,
    StoryBrokenError,
    refused,
    shopping,
    shown_by,
    sold_and_written,
    spend,
    take,
)
from simulators.messages import order_created
from simulators.service import RefusedError
from simulators.shop import Card, Redemption, give_back, hold, purchase_of, verify
from simulators.tender import Purchase, spending_captured


async def captured_when_all_is_spent(play: Play) -> None:
    """A hold lapses, another shop takes everything, and the capture comes after that: the goods are uncovered."""
    outcome = ISSUED.then(
        HELD,
        "redemption.voided holdLapsed",
        HELD,
        TAKEN,
        "redemption.rejected notActive",
        "alert.redemptionUncovered",
        status="redeemed",
        left=0,
    )
    reservation, _ = await sold_and_written(play, outcome)
    order, card = shopping(play, 200_000), shown_by(play, reservation)
    held = await hold(play.channel, card, order, seconds=SHORT_HOLD)
    await play.until_told(reservation, "redemption.voided holdLapsed")
    await spend(play, card, FULL)
    await play.until_told(reservation, TAKEN)
    await _take_in_vain(play, purchase_of(order, held))


async def more_captured_than_held(play: Play) -> None:
    """Refused, the goods are uncovered, and the hold stays until the shop gives it back."""
    outcome = ISSUED.then(
        HELD,
        "redemption.rejected exceedsHold",
        "alert.redemptionUncovered",
        "redemption.voided channelVoided",
        left=FULL,
    )
    reservation, _ = await sold_and_written(play, outcome)
    order = shopping(play, 100_000)
    held = await hold(play.channel, shown_by(play, reservation), order)
    await _take_in_vain(play, purchase_of(order, held), 100_001)
    await play.until_told(reservation, "alert.redemptionUncovered")
    await give_back(play.channel, held.redemption_id)


async def two_tills_at_once(play: Play) -> None:
    """Store and till want most of one balance at the same moment: one gets it."""
    outcome = ISSUED.then(
        HELD,
        "redemption.rejected insufficientBalance",
        TAKEN,
        status="partiallyRedeemed",
        left=100_000,
    )
    reservation, _ = await sold_and_written(play, outcome)
    card, shops = shown_by(play, reservation), tuple(play.world.channels.values())
    orders = [shopping(play, 400_000, shop) for shop in shops]
    asked = (hold(shop, card, order) for shop, order in zip(shops, orders, strict=True))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    won = [
        purchase_of(order, answer)
        for order, answer in zip(orders, answers, strict=True)
        if isinstance(answer, Redemption)
    ]
    lost = [one.problem for one in answers if isinstance(one, RefusedError)]
    if (len(won), lost) != (1, ["insufficient-balance"]):
        raise StoryBrokenError(f"{len(won)} of two hold it, refused: {lost}")
    await take(play, won[0])


async def more_than_is_left(play: Play) -> None:
    """The goods cost more than the certificate has."""
    outcome = ISSUED.then("redemption.rejected insufficientBalance", left=FULL)
    reservation, _ = await sold_and_written(play, outcome)
    order = shopping(play, FULL + 1)
    await refused(hold(play.channel, shown_by(play, reservation), order), "insufficient-balance")


async def wrong_cvc(play: Play) -> None:
    """Somebody who has the number alone finds out nothing; the client then pays."""
    outcome = ISSUED.then(HELD, TAKEN, status="partiallyRedeemed", left=300_000)
    reservation, _ = await sold_and_written(play, outcome)
    card = shown_by(play, reservation)
    guess = "".join(str((int(digit) + 1) % 10) for digit in card.cvc)
    guessed = Card(number=card.number, cvc=guess)
    if (await verify(play.channel, guessed)).valid:
        raise StoryBrokenError("a wrong CVC is good")
    await refused(hold(play.channel, guessed, shopping(play, 200_000)), "credentials-rejected")
    await spend(play, card, 200_000)


async def spent_without_a_hold(play: Play) -> None:
    """A channel that has to hold first did not: the certificate does not pay, and the goods are uncovered."""
    outcome = ISSUED.then("redemption.rejected holdRequired", "alert.redemptionUncovered", left=FULL)
    reservation, _ = await sold_and_written(play, outcome)
    await _take_in_vain(play, Purchase(shopping(play, 100_000), reservation.certificate_id, 100_000))


async def _take_in_vain(play: Play, purchase: Purchase, amount: int | None = None) -> None:
    await play.write_order(order_created(purchase.order))
    play.world.books.goods_uncovered += purchase.amount if amount is None else amount
    await play.write_payment(spending_captured(purchase, amount))

"""Clients who spend what they were given, in either channel."""

from uuid import uuid4

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
from simulators.shop import Card, Redemption, give_back, hold, look_up, purchase_of, verify
from simulators.tender import spending_refunded, spending_voided


async def spent_in_part(play: Play) -> None:
    """The client asks what is on the certificate, spends some of it, and asks again."""
    outcome = ISSUED.then(HELD, TAKEN, status="partiallyRedeemed", left=300_000)
    reservation, _ = await sold_and_written(play, outcome)
    card = shown_by(play, reservation)
    await _stands_at(play, card, "issued", FULL)
    await spend(play, card, 200_000)
    await play.until_told(reservation, TAKEN)
    await _stands_at(play, card, "partiallyRedeemed", 300_000)


async def spent_in_both_channels(play: Play) -> None:
    """Some of it here and the rest in the other channel."""
    outcome = ISSUED.then(HELD, TAKEN, HELD, TAKEN, status="redeemed", left=0)
    reservation, _ = await sold_and_written(play, outcome)
    card = shown_by(play, reservation)
    await spend(play, card, 200_000)
    await play.until_told(reservation, TAKEN)
    other = next(one for one in play.world.channels.values() if one is not play.channel)
    await spend(play, card, 300_000, other)


async def less_captured_than_held(play: Play) -> None:
    """An article was not there after all; the rest of the hold is free again."""
    outcome = ISSUED.then(HELD, TAKEN, status="partiallyRedeemed", left=380_000)
    reservation, _ = await sold_and_written(play, outcome)
    order = shopping(play, 300_000)
    purchase = purchase_of(order, await hold(play.channel, shown_by(play, reservation), order))
    await take(play, purchase, 120_000)


async def answer_lost(play: Play) -> None:
    """The channel asks again under the same key, before and after the capture, and holds once."""
    outcome = ISSUED.then(HELD, TAKEN, status="partiallyRedeemed", left=400_000)
    reservation, _ = await sold_and_written(play, outcome)
    order, key, card = shopping(play, 100_000), str(uuid4()), shown_by(play, reservation)
    first = await hold(play.channel, card, order, key=key)
    _is_same(first, await hold(play.channel, card, order, key=key), "authorized")
    await take(play, purchase_of(order, first))
    await play.until_told(reservation, TAKEN)
    _is_same(first, await hold(play.channel, card, order, key=key), "captured")


async def given_up(play: Play) -> None:
    """Two purchases are given up: one with a call, one by its payment. A late repeat of the first gets that answer."""
    outcome = ISSUED.then(
        HELD, "redemption.voided channelVoided", HELD, "redemption.voided paymentVoided", left=FULL
    )
    reservation, _ = await sold_and_written(play, outcome)
    order, key, card = shopping(play, 100_000), str(uuid4()), shown_by(play, reservation)
    first = await hold(play.channel, card, order, key=key)
    await give_back(play.channel, first.redemption_id)
    await refused(hold(play.channel, card, order, key=key), "redemption-ended")
    again = shopping(play, 150_000)
    await play.write_payment(spending_voided(purchase_of(again, await hold(play.channel, card, again))))


async def hold_lapses(play: Play) -> None:
    """Nobody takes what is held."""
    outcome = ISSUED.then(HELD, "redemption.voided holdLapsed", left=FULL)
    reservation, _ = await sold_and_written(play, outcome)
    order = shopping(play, 200_000)
    held = await hold(play.channel, shown_by(play, reservation), order, seconds=SHORT_HOLD)
    await play.until_told(reservation, "redemption.voided holdLapsed")
    lapsed = await look_up(play.channel, held.redemption_id)
    if lapsed.status != "lapsed":
        raise StoryBrokenError(f"the hold is {lapsed.status}")


async def captured_after_the_hold(play: Play) -> None:
    """The capture comes when the hold has lapsed; what is left on the certificate pays all the same."""
    outcome = ISSUED.then(
        HELD, "redemption.voided holdLapsed", TAKEN, status="partiallyRedeemed", left=300_000
    )
    reservation, _ = await sold_and_written(play, outcome)
    order = shopping(play, 200_000)
    held = await hold(play.channel, shown_by(play, reservation), order, seconds=SHORT_HOLD)
    await play.until_told(reservation, "redemption.voided holdLapsed")
    await take(play, purchase_of(order, held))


async def taken_back(play: Play) -> None:
    """Goods come back in two parts, and what they cost is on the certificate again."""
    back = "redemption.restored"
    outcome = ISSUED.then(HELD, TAKEN, back, back, left=FULL)
    reservation, _ = await sold_and_written(play, outcome)
    purchase = await spend(play, shown_by(play, reservation), 200_000)
    await play.until_told(reservation, TAKEN)
    for number, amount in enumerate((50_000, 150_000), start=1):
        play.world.books.redeemed -= amount
        await play.write_payment(spending_refunded(purchase, amount, number))


async def _stands_at(play: Play, card: Card, status: str, balance: int) -> None:
    reply = await verify(play.channel, card)
    seen = (reply.valid, reply.status, reply.balance.amount if reply.balance else None)
    if seen != (True, status, balance):
        raise StoryBrokenError(f"the certificate stands at {seen}")


def _is_same(first: Redemption, again: Redemption, status: str) -> None:
    if (again.redemption_id, again.status) != (first.redemption_id, status):
        raise StoryBrokenError(f"the key gave {again.status} {again.redemption_id}")

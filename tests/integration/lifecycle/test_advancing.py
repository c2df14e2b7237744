"""What waits for a certificate is decided in one transaction, whoever looks and however often."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from giftcert.domain.certificate.messages import DiscloseCvc, SpendingKind
from giftcert.domain.clients import Recipient
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.sweep import SweepRepository
from giftcert.temporal.signals import Signal
from tests.integration.lifecycle.world import (
    GIFT,
    START,
    WORTH,
    World,
    authorized,
    cancelled,
    captured,
    goods,
    refunded,
    sold,
    spent,
    stated,
    voided,
)

pytestmark = pytest.mark.integration

SALE = ["issue.reserved", "issue.ordered", "issue.completed", "notification.requested"]


async def test_an_ordered_and_paid_certificate_is_issued(world: World) -> None:
    certificate_id = await world.reserved()
    wakes = await world.say(stated("IM-1", 1, sold(certificate_id)))
    assert [(wake.certificate_id, wake.signal) for wake in wakes] == [(certificate_id, Signal.ORDER_CREATED)]
    seen = await world.advance(certificate_id)
    assert (seen.status, seen.over) == ("ordered", False)
    assert seen.sealed is not None
    assert seen.next_instant == START + world.policy.unpaid_after_order
    await world.say(captured("IM-1"))
    seen = await world.advance(certificate_id, sealed_by=seen.sealed.key_id)
    assert (seen.status, seen.over, seen.sealed) == ("issued", False, None)
    assert await world.published(certificate_id) == SALE
    assert await world.pending() == []
    [line] = await world.rows("SELECT holder::text, holder_status FROM order_lines")
    assert line == {"holder": certificate_id, "holder_status": "issued"}
    assert await world.rows("SELECT resolution FROM reservations") == [{"resolution": "ordered"}]


async def test_whatever_came_while_nobody_looked_is_decided_at_once(world: World) -> None:
    certificate_id = await world.reserved()
    await world.say(captured_first := stated("IM-1", 1, sold(certificate_id)))
    await world.say(authorized("IM-1"))
    await world.say(captured("IM-1"))
    await world.spend(certificate_id, spent(SpendingKind.CAPTURED, 100))
    await world.advance(certificate_id)
    assert (await world.published(certificate_id))[:4] == SALE
    events = await world.events(certificate_id, "issue.ordered")
    assert [one["cause_event_id"] for one in events] == [captured_first.cause.event_id]
    assert await world.rows("SELECT 1 FROM spendings WHERE applied_at IS NULL") == []
    assert await world.pending() == []


async def test_a_notification_has_an_id_of_its_own_and_speaks_the_client_s_language(world: World) -> None:
    await world.run(
        "INSERT INTO clients (client_id, locale, occurred_at, event_id) VALUES ('C-1', 'ru-RU', :at, 'e')",
        at=START,
    )
    payloads = []
    for order_id in ("IM-1", "IM-2"):
        certificate_id = await world.issued(order_id)
        [event] = await world.events(certificate_id, "notification.requested")
        payloads.append(event["payload"])
    assert [one["locale"] for one in payloads] == ["ru-RU", "ru-RU"]
    assert len({UUID(one["notificationId"]) for one in payloads}) == 2


async def test_what_waits_is_known_by_its_newest_news(world: World) -> None:
    certificate_id = await world.reserved()
    paid = captured("IM-1")
    await world.say(stated("IM-1", 1, sold(certificate_id)), paid)
    waiting = "SELECT kind, channel, cause_topic, cause_event_id FROM pending"
    assert await world.rows(waiting) == [
        {
            "kind": Signal.PAYMENT_CAPTURED,
            "channel": "im",
            "cause_topic": paid.cause.topic,
            "cause_event_id": paid.cause.event_id,
        }
    ]


@pytest.mark.parametrize(("customer_id", "kept"), [("C-erased", None), ("C-1", "anna")])
async def test_of_a_buyer_who_is_erased_nothing_is_kept_of_whom_it_is_for(
    world: World, customer_id: str, kept: str | None
) -> None:
    await world.run(
        "INSERT INTO clients (client_id, erased, occurred_at, event_id) VALUES ('C-erased', true, :at, 'e')",
        at=START,
    )
    certificate_id = await world.reserved()
    version = stated("IM-1", 1, sold(certificate_id), customer_id=customer_id)
    await world.say(version, recipients={"1": Recipient("anna")})
    [line] = await world.rows("SELECT recipient ->> 'ref' AS ref FROM order_lines")
    assert line == {"ref": kept}


async def test_looking_again_writes_nothing(world: World) -> None:
    certificate_id = await world.issued()
    version = "SELECT version, xmin::text FROM certificates"
    seen = await world.advance(certificate_id)
    before = await world.rows(version)
    assert await world.advance(certificate_id, timer_at=seen.next_instant) == seen
    assert await world.rows(version) == before


async def test_the_clock_of_decisions_never_goes_back(world: World) -> None:
    certificate_id = await world.issued()
    world.pass_time(-timedelta(hours=1))
    await world.say(cancelled("IM-1", 2))
    await world.advance(certificate_id)
    assert (await world.stored(certificate_id)).decided_at == START
    assert (await world.published(certificate_id))[-1] == "refund.requested"


async def test_an_unknown_certificate_is_said_to_be(world: World) -> None:
    with pytest.raises(UnknownCertificateError):
        await world.advance("01890000-0000-7000-8000-000000000000")


async def test_an_authorisation_makes_no_work_and_is_read_before_the_unpaid_deadline(world: World) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    await world.advance(certificate_id)
    world.pass_time(timedelta(hours=70))
    assert await world.say(authorized("IM-1", at=world.now)) == []
    assert await world.pending() == []
    world.pass_time(timedelta(hours=3))
    await world.catch_up()
    seen = await world.advance(certificate_id)
    assert seen.status == "ordered"
    assert seen.next_instant == START + timedelta(hours=70) + world.policy.unpaid_after_authorization


async def test_a_void_brings_the_unpaid_deadline_forward(world: World) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)), authorized("IM-1"))
    await world.advance(certificate_id)
    world.pass_time(timedelta(hours=71))
    wakes = await world.say(voided("IM-1", at=world.now))
    assert [wake.signal for wake in wakes] == [Signal.PAYMENT_VOIDED]
    seen = await world.advance(certificate_id)
    assert seen.next_instant == world.now + world.policy.unpaid_after_void


@pytest.mark.parametrize("replaced_first", [True, False])
async def test_of_two_versions_that_came_while_nobody_looked_the_newest_is_issued(
    world: World, replaced_first: bool
) -> None:
    await world.fill(2)
    first, second = await world.reserve(2)
    await world.say(stated("IM-1", 1, sold(first)))
    await world.say(stated("IM-1", 2, sold(second)))
    await world.say(captured("IM-1"))
    for certificate_id in (first, second) if replaced_first else (second, first):
        await world.advance(certificate_id)
    assert await world.published(second) == SALE
    assert "issue.completed" not in await world.published(first)
    assert await world.pending() == []


@pytest.mark.parametrize("released_first", [True, False])
async def test_late_money_pays_for_the_successor_of_a_released_certificate(
    world: World, released_first: bool
) -> None:
    await world.fill(2)
    first, second = await world.reserve(2)
    await world.say(stated("IM-1", 1, sold(first)))
    await world.advance(first)
    world.pass_time(world.policy.unpaid_after_order + timedelta(minutes=1))
    await world.catch_up()
    assert (await world.advance(first)).status == "available"
    await world.say(stated("IM-1", 2, sold(second), at=world.now))
    await world.say(captured("IM-1", at=world.now))
    for certificate_id in (first, second) if released_first else (second, first):
        await world.advance(certificate_id)
    assert [await world.status(one) for one in (first, second)] == ["available", "issued"]
    assert await world.pending() == []
    assert not [wake for wake in world.wakes if wake.signal is Signal.LINE_FREED]


async def test_after_an_outage_a_released_certificate_and_its_successor_may_look_at_the_same_time(
    world: World,
) -> None:
    """Whoever comes first, one is issued, and no look is repeated without progress."""
    await world.fill(2)
    first, second = await world.reserve(2)
    await world.say(stated("IM-1", 1, sold(first)))
    await world.advance(first)
    world.pass_time(world.policy.unpaid_after_order + timedelta(minutes=1))
    await world.say(stated("IM-1", 2, sold(second), at=world.now))
    await world.say(captured("IM-1", at=world.now))
    await world.catch_up()
    for _ in range(3):
        looks = await asyncio.gather(*(world.advance(one) for one in (first, second, first, second)))
        if not any(seen.wakes for seen in looks) and not await world.pending():
            break
    else:
        raise AssertionError("they go on waking each other")
    assert [await world.status(one) for one in (first, second)] == ["available", "issued"]
    assert (await world.published(first))[-1] == "issue.released"
    assert await world.published(second) == SALE


async def test_a_certificate_waits_for_a_line_until_its_holder_lets_go(world: World) -> None:
    await world.fill(2)
    holder, waiter = await world.reserve(2)
    await world.say(stated("IM-1", 1, sold(holder)))
    await world.advance(holder)
    await world.say(stated("IM-1", 2, sold(waiter)))
    seen = await world.advance(waiter)
    assert (seen.status, seen.over) == ("reserved", False)
    assert await world.rows("SELECT waiters::text[] AS waiters FROM order_lines") == [{"waiters": [waiter]}]
    assert await world.rows("SELECT waits FROM certificates WHERE waits") == [{"waits": True}]
    seen = await world.advance(holder)
    assert seen.status == "available"
    assert [(wake.certificate_id, wake.signal) for wake in seen.wakes] == [(waiter, Signal.LINE_FREED)]
    assert await world.pending() == [(waiter, "IM-1", 1)]
    assert (await world.advance(waiter)).status == "ordered"
    assert await world.rows("SELECT 1 FROM order_lines WHERE waiters <> '{}'") == []


async def test_a_refund_of_the_television_leaves_the_gift_alone(world: World) -> None:
    certificate_id = await world.reserved()
    await world.say(
        stated("IM-1", 1, goods("1", 250_000), sold(certificate_id, "2")), captured("IM-1", 750_000)
    )
    await world.advance(certificate_id)
    await world.say(refunded("IM-1", "RF-1", 250_000))
    await world.advance(certificate_id)
    assert await world.published(certificate_id) == SALE


async def test_a_refunded_certificate_is_over_and_its_money_is_counted_on_the_line(world: World) -> None:
    certificate_id = await world.issued()
    await world.say(cancelled("IM-1", 2))
    await world.say(refunded("IM-1", "RF-1"))
    seen = await world.advance(certificate_id)
    assert (seen.status, seen.over, seen.next_instant) == ("refunded", True, None)
    [line] = await world.rows("SELECT counted FROM order_lines")
    assert line["counted"] == {"captured": WORTH, "refunds": [["RF-1", "RUB", WORTH]]}
    [row] = await world.rows("SELECT timer_at, next_instant FROM certificates")
    assert row == {"timer_at": None, "next_instant": None}


async def test_the_timer_is_moved_only_to_an_earlier_instant(world: World) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    seen = await world.advance(certificate_id)
    timer = "SELECT timer_at, next_instant FROM certificates"
    assert await world.rows(timer) == [{"timer_at": seen.next_instant, "next_instant": seen.next_instant}]
    await world.say(captured("IM-1"))
    later = await world.advance(certificate_id, timer_at=seen.next_instant)
    assert later.next_instant == START + GIFT.validity
    [row] = await world.rows(timer)
    assert row["timer_at"] == seen.next_instant


async def test_an_unfetched_cvc_is_due_without_a_timer_and_is_reported_when_the_sweep_has_it_looked_at(
    world: World,
) -> None:
    certificate_id = await world.issued()
    seen = await world.advance(certificate_id)
    valid_until = START + GIFT.validity
    [row] = await world.rows("SELECT timer_at, next_instant FROM certificates")
    assert row == {"timer_at": valid_until, "next_instant": START + timedelta(hours=24)}
    assert seen.next_instant == valid_until
    world.pass_time(timedelta(hours=24))
    async with world.database.transaction() as connection:
        due = await SweepRepository(connection).claim_due(world.now, 10, "im")
    assert [one.wake.certificate_id for one in due] == [certificate_id]
    await world.advance(certificate_id, timer_at=valid_until)
    [alert] = await world.events(certificate_id, "alert.notificationUndeliverable")
    assert alert["payload"]["reason"] == "notFetched"
    [row] = await world.rows("SELECT timer_at, next_instant FROM certificates")
    assert row == {"timer_at": valid_until, "next_instant": valid_until}


async def test_a_fetched_cvc_is_due_no_more_and_wakes_nobody(world: World) -> None:
    certificate_id = await world.issued()
    fetched = DiscloseCvc(disclosed_to="crm", purpose="notification", notification_id=None)
    assert (await world.act(certificate_id, fetched)).wakes == ()
    [row] = await world.rows("SELECT timer_at, next_instant FROM certificates")
    assert row["next_instant"] == START + GIFT.validity

"""Requests of channels, CRM and support: carried out or refused, once, whatever else waits."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from giftcert.domain.certificate.messages import (
    AuthorizeRedemption,
    Block,
    DiscloseCvc,
    ExtendReservation,
    ReleaseReservation,
    SpendingKind,
    Unblock,
    VoidRedemption,
)
from giftcert.domain.certificate.words import RejectionReason
from giftcert.lifecycle import idempotency
from giftcert.lifecycle.change import Outcome
from giftcert.lifecycle.idempotency import IdempotencyBusyError
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.idempotency import IdempotencyKey, IdempotencyMismatchError
from giftcert.temporal.signals import Signal
from tests.integration.lifecycle.world import START, WORTH, World, captured, sold, spent, stated

pytestmark = pytest.mark.integration

KEY = IdempotencyKey(b"caller and key", b"parameters", kept=True)


def hold(amount: int = 200_000, redemption_id: str = "R-1", **more: Any) -> AuthorizeRedemption:
    said: dict[str, Any] = {"channel": "pos", "order_id": "POS-1", "currency": "RUB"}
    return AuthorizeRedemption(redemption_id=redemption_id, amount=amount, **said | more)


def held(outcome: Outcome) -> object:
    return {"balance": outcome.state.balance}


async def test_a_hold_is_made_and_nobody_is_woken_for_it(world: World) -> None:
    certificate_id = await world.issued()
    outcome = await world.act(certificate_id, hold())
    assert (outcome.refusal, outcome.repeated, outcome.wakes) == (None, False, ())
    assert (outcome.state.balance, outcome.state.held) == (300_000, 200_000)
    assert [one.event.type for one in outcome.recorded] == ["redemption.authorized"]
    [row] = await world.rows("SELECT held, amount, state, order_id, expires_at FROM redemptions")
    assert row == {
        "held": 200_000,
        "amount": 200_000,
        "state": "authorized",
        "order_id": "POS-1",
        "expires_at": START + timedelta(minutes=30),
    }
    [row] = await world.rows("SELECT next_instant FROM certificates")
    assert row["next_instant"] == START + timedelta(minutes=30)


async def test_a_request_finds_what_waits_decided(world: World) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)), captured("IM-1"))
    outcome = await world.act(certificate_id, hold())
    assert outcome.refusal is None
    assert await world.pending() == []
    assert [wake.signal for wake in outcome.wakes] == [Signal.REQUEST_DECIDED]


async def test_a_refusal_is_not_remembered_and_keeps_what_else_was_decided(world: World) -> None:
    certificate_id = await world.issued()
    await world.spend(certificate_id, spent(SpendingKind.CAPTURED, 100))
    outcome = await world.act(certificate_id, hold(WORTH + 1), KEY, answer=held)
    assert outcome.refusal is RejectionReason.INSUFFICIENT_BALANCE
    assert await world.rows("SELECT 1 FROM spendings WHERE applied_at IS NULL") == []
    assert (await world.published(certificate_id))[-1] == "redemption.rejected"
    assert (await world.act(certificate_id, hold(100), KEY, answer=held)).refusal is None


async def test_a_repeat_is_answered_as_the_first_and_changes_nothing(world: World) -> None:
    certificate_id = await world.issued()
    first = await world.act(certificate_id, hold(), KEY, answer=held)
    again = await world.act(certificate_id, hold(redemption_id="R-2"), KEY, answer=held)
    assert again.repeated
    assert again.answer is not None
    assert msgspec.json.decode(again.answer) == {"balance": 300_000} == held(first)
    assert (again.state, again.product) == (await world.state(certificate_id), first.product)
    assert await world.published(certificate_id) == [
        "issue.reserved",
        "issue.ordered",
        "issue.completed",
        "notification.requested",
        "redemption.authorized",
    ]


async def test_a_key_that_is_kept_is_never_forgotten_and_others_after_a_day(world: World) -> None:
    certificate_id = await world.issued()
    short = IdempotencyKey(b"another", b"parameters")
    await world.act(certificate_id, hold(100), KEY)
    await world.act(certificate_id, hold(100, "R-2"), short)
    world.pass_time(timedelta(days=2))
    assert (await world.act(certificate_id, hold(100, "R-3"), KEY)).repeated
    assert not (await world.act(certificate_id, hold(100, "R-4"), short)).repeated


async def test_other_parameters_under_the_same_key_are_refused(world: World) -> None:
    certificate_id = await world.issued()
    await world.act(certificate_id, hold(), KEY)
    with pytest.raises(IdempotencyMismatchError):
        await world.act(certificate_id, hold(1), IdempotencyKey(KEY.caller_key, b"others", kept=True))


async def test_repeats_at_the_same_time_hold_once(world: World) -> None:
    certificate_id = await world.issued()
    other = type(world.lifecycle)(
        world.database,
        world.policy,
        world.lifecycle.keyring,
        web_url=str,
        build="1",
    )
    outcomes = await asyncio.gather(
        world.act(certificate_id, hold(), KEY, answer=held),
        other.act(certificate_id, hold(redemption_id="R-2"), world.now, key=KEY, answer=held),
    )
    assert sorted(outcome.repeated for outcome in outcomes) == [False, True]
    assert (await world.state(certificate_id)).held == 200_000


async def test_a_repeat_in_the_same_process_is_sent_away_while_the_first_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "LONGEST_WAIT", timedelta())
    certificate_id = await world.issued()
    async with world.lifecycle.calls.alone(KEY):
        with pytest.raises(IdempotencyBusyError):
            await world.act(certificate_id, hold(), KEY)
    assert (await world.act(certificate_id, hold(), KEY)).refusal is None


async def test_two_buyers_cannot_spend_one_balance(world: World) -> None:
    certificate_id = await world.issued()
    outcomes = await asyncio.gather(
        *(world.act(certificate_id, hold(300_000, f"R-{nth}", order_id=f"POS-{nth}")) for nth in range(4))
    )
    refusals = [outcome.refusal for outcome in outcomes]
    assert refusals.count(None) == 1
    assert refusals.count(RejectionReason.INSUFFICIENT_BALANCE) == 3


async def test_a_hold_that_lapsed_is_given_back_before_the_next_request(world: World) -> None:
    certificate_id = await world.issued()
    await world.act(certificate_id, hold(WORTH))
    world.pass_time(timedelta(minutes=31))
    assert (await world.act(certificate_id, hold(WORTH, "R-2"))).refusal is None
    states = await world.rows("SELECT redemption_id, state FROM redemptions ORDER BY redemption_id")
    assert [(row["redemption_id"], row["state"]) for row in states] == [
        ("R-1", "lapsed"),
        ("R-2", "authorized"),
    ]


async def test_a_void_gives_the_hold_back(world: World) -> None:
    certificate_id = await world.issued()
    await world.act(certificate_id, hold())
    outcome = await world.act(certificate_id, VoidRedemption(channel="pos", redemption_id="R-1"))
    assert (outcome.refusal, outcome.state.balance, outcome.state.held) == (None, WORTH, 0)


async def test_support_sees_a_block_at_once(world: World) -> None:
    certificate_id = await world.issued()
    outcome = await world.act(certificate_id, Block(reason="stolen", by="support-1"))
    assert [(wake.certificate_id, wake.signal, wake.channel, wake.cause) for wake in outcome.wakes] == [
        (certificate_id, Signal.REQUEST_DECIDED, "im", "Block")
    ]
    assert await world.status(certificate_id) == "blocked"
    assert (await world.act(certificate_id, hold())).refusal is RejectionReason.BLOCKED
    await world.act(certificate_id, Unblock(reason="found", by="support-1"))
    assert await world.status(certificate_id) == "issued"


async def test_a_certificate_that_no_order_named_is_blocked_without_a_workflow(world: World) -> None:
    [certificate_id] = await world.fill(1)
    outcome = await world.act(certificate_id, Block(reason="lost", by="support-1"))
    assert outcome.wakes == ()
    assert await world.status(certificate_id) == "blocked"
    [row] = await world.rows("SELECT next_instant FROM certificates")
    assert row["next_instant"] is None


async def test_a_disclosure_is_recorded_with_the_sequence_of_its_event(world: World) -> None:
    certificate_id = await world.issued()
    request = DiscloseCvc(disclosed_to="crm-1", purpose="notification", notification_id=None)
    outcome = await world.act(certificate_id, request)
    assert outcome.sealed is not None
    [event] = await world.events(certificate_id, "audit.cvcDisclosed")
    [row] = await world.rows("SELECT sequence, disclosed_to FROM disclosures")
    assert row == {"sequence": event["sequence"], "disclosed_to": "crm-1"}


async def test_a_refused_disclosure_gives_nothing_away_and_is_told(world: World) -> None:
    certificate_id = await world.reserved()
    request = DiscloseCvc(disclosed_to="crm-1", purpose="notification", notification_id=None)
    outcome = await world.act(certificate_id, request)
    assert outcome.refusal is not None
    assert outcome.sealed is None
    assert await world.rows("SELECT 1 FROM disclosures") == []
    assert (await world.published(certificate_id))[-1] == "audit.cvcRefused"


async def test_a_reservation_is_extended_and_given_back(world: World) -> None:
    certificate_id = await world.reserved()
    reservation = (await world.state(certificate_id)).reservation
    assert reservation is not None
    world.pass_time(timedelta(minutes=10))
    await world.act(certificate_id, ExtendReservation(reservation.reservation_id))
    [row] = await world.rows("SELECT reserved_until, resolution FROM reservations")
    assert row == {"reserved_until": START + timedelta(minutes=40), "resolution": None}
    await world.act(certificate_id, ReleaseReservation(reservation.reservation_id))
    assert await world.rows("SELECT resolution FROM reservations") == [{"resolution": "channelReleased"}]
    assert await world.status(certificate_id) == "available"


async def test_a_request_for_an_unknown_certificate_is_refused(world: World) -> None:
    with pytest.raises(UnknownCertificateError):
        await world.act("01890000-0000-7000-8000-000000000000", Block(reason="", by=""), KEY)

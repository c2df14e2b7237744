"""A request that needs no lines is decided without a lock: what comes in between is never lost nor overwritten."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from giftcert.domain.certificate.messages import AuthorizeRedemption, Block, SpendingKind
from giftcert.lifecycle import change
from giftcert.lifecycle.change import Lifecycle, Outcome
from giftcert.storage.certificates import LoadedCertificate, LockRequest
from giftcert.storage.idempotency import IdempotencyKey
from tests.integration.lifecycle.test_advancing import SALE
from tests.integration.lifecycle.world import WORTH, World, refunded, spent

pytestmark = pytest.mark.integration
KEY = IdempotencyKey(b"caller and key", b"parameters", kept=True)


def hold(redemption_id: str, amount: int = 100) -> AuthorizeRedemption:
    return AuthorizeRedemption(
        channel="pos", redemption_id=redemption_id, order_id="POS-1", amount=amount, currency="RUB"
    )


def in_between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]) -> None:
    """Have something happen once, after a request has read its certificate and before it writes."""
    real, left = change.read_idle, [happens]

    async def read_idle(
        connection: change.Connection, request: LockRequest, now: object
    ) -> LoadedCertificate | None:
        loaded = await real(connection, request, now)  # type: ignore[arg-type] # as it was given
        if left:
            await left.pop()()
        return loaded

    monkeypatch.setattr(change, "read_idle", read_idle)


def wanted(world: World, certificate_id: str) -> LockRequest:
    return LockRequest(certificate_id=certificate_id, answers_since=world.now, patience=timedelta(seconds=2))


def locks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Collect the requests that take locks."""
    real, taken = change.lock, list[object]()

    async def lock(connection: change.Connection, request: LockRequest) -> object:
        taken.append(request)
        return await real(connection, request)

    monkeypatch.setattr(change, "lock", lock)
    return taken


async def test_a_hold_on_a_certificate_for_which_nothing_waits_takes_no_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate_id = await world.issued()
    taken = locks(monkeypatch)
    outcome = await world.act(certificate_id, hold("R-1"))
    assert (outcome.refusal, taken) == (None, [])
    assert (await world.state(certificate_id)).held == 100
    assert await world.published(certificate_id) == [*SALE, "redemption.authorized"]


async def test_what_waits_is_decided_before_a_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate_id = await world.issued()
    await world.say(refunded("IM-1", "R-1", line_id="1"))
    taken = locks(monkeypatch)
    outcome = await world.act(certificate_id, hold("R-1"))
    assert (str(outcome.refusal), len(taken)) == ("notActive", 1)
    assert (await world.state(certificate_id)).status == "refunded"


async def test_another_decision_in_between_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate_id = await world.issued()
    block = Block(reason="stolen", by="anna")
    in_between(monkeypatch, lambda: world.act(certificate_id, block))
    outcome = await world.act(certificate_id, hold("R-1"))
    assert str(outcome.refusal) == "blocked"
    state = await world.state(certificate_id)
    assert (state.blocked, state.held) == (True, 0)


async def test_what_was_read_a_moment_ago_is_not_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate_id = await world.issued()
    async with world.database.connection() as connection:
        seen = await change.read_idle(connection, wanted(world, certificate_id), world.now)
    in_between(monkeypatch, lambda: pytest.fail("it was read again"))
    assert (await world.act(certificate_id, hold("R-1"), seen=seen)).refusal is None


async def test_a_request_leaves_the_timer_of_the_run_alone(world: World) -> None:
    certificate_id = await world.issued()
    timer_at = (await world.stored(certificate_id)).timer_at
    assert timer_at is not None
    for request in (hold("R-1"), Block(reason="stolen", by="anna")):
        await world.act(certificate_id, request)
        assert (await world.stored(certificate_id)).timer_at == timer_at


async def test_what_was_seen_long_ago_is_not_decided_on(world: World) -> None:
    certificate_id = await world.issued()
    async with world.database.connection() as connection:
        seen = await change.read_idle(connection, wanted(world, certificate_id), world.now)
    for nth in range(5):
        outcome = await world.act(certificate_id, hold(f"R-{nth}", WORTH // 4), seen=seen)
    assert str(outcome.refusal) == "insufficientBalance"
    state = await world.state(certificate_id)
    assert (state.balance, state.held, len(state.redemptions)) == (0, WORTH, 4)


async def test_news_in_between_stays_pending(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate_id = await world.issued()
    in_between(monkeypatch, lambda: world.say(refunded("IM-1", "R-1", line_id="1")))
    assert (await world.act(certificate_id, hold("R-1"))).refusal is None
    assert len(await world.pending()) == 1
    await world.advance(certificate_id)
    [case] = (await world.state(certificate_id)).sales[-1].cases
    assert (case.state, case.reason) == ("pendingDetails", "redemptionInProgress")


async def test_a_call_under_the_same_key_in_between_is_answered_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate_id = await world.issued()
    other = Lifecycle(world.database, world.policy, world.lifecycle.keyring, web_url=str, build="1")
    in_between(monkeypatch, lambda: other.act(certificate_id, hold("R-1"), world.now, key=KEY))
    outcome = await world.act(certificate_id, hold("R-2"), KEY)
    assert outcome.repeated
    assert [one.redemption_id for one in (await world.state(certificate_id)).redemptions] == ["R-1"]


async def test_a_hold_without_lines_names_the_survivor_of_a_merge_as_the_customer(world: World) -> None:
    certificate_id = await world.issued()
    await world.act(certificate_id, hold("R-1"))
    async with world.database.connection() as connection:
        await connection.execute(
            """INSERT INTO clients (client_id, merged_into, occurred_at, event_id)
                VALUES ('C-1', 'C-2', now(), '1'), ('C-2', NULL, now(), '2')"""
        )
    await world.act(certificate_id, hold("R-2"))
    held = await world.events(certificate_id, "redemption.authorized")
    assert [one["payload"]["customerId"] for one in held] == ["C-1", "C-2"]


async def test_many_holds_at_once_never_take_more_than_the_balance(world: World) -> None:
    certificate_id = await world.issued()
    amount = WORTH // 5
    requests = (world.act(certificate_id, hold(f"R-{nth}", amount)) for nth in range(12))
    outcomes: list[Outcome] = await asyncio.gather(*requests)
    assert sum(outcome.refusal is None for outcome in outcomes) == 5
    state = await world.state(certificate_id)
    assert (state.balance, state.held) == (0, WORTH)
    events = await world.published(certificate_id)
    assert events.count("redemption.authorized") == 5
    assert events.count("redemption.rejected") == 7


async def test_a_spending_and_a_hold_at_once_are_both_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate_id = await world.issued()
    await world.act(certificate_id, hold("R-1"))
    report = spent(SpendingKind.CAPTURED, 100, "R-1")
    in_between(monkeypatch, lambda: world.spend(certificate_id, report))
    await world.act(certificate_id, hold("R-2"))
    await world.advance(certificate_id)
    state = await world.state(certificate_id)
    assert (state.balance, state.held) == (WORTH - 200, 100)

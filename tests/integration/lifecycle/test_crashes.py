"""A process dies around any step of the transaction: what was to be done is done once, by whoever comes next."""

import pytest

from giftcert.domain.certificate.messages import AuthorizeRedemption
from giftcert.lifecycle import change, order_changes
from giftcert.lifecycle.release_gate import ReleaseGate
from giftcert.storage.idempotency import IdempotencyKey, IdempotencyRepository
from tests.crashes import CrashError, Step, around_each, crash
from tests.integration.lifecycle.test_advancing import SALE
from tests.integration.lifecycle.world import World, captured, sold, stated

pytestmark = pytest.mark.integration

STEPS: tuple[Step, ...] = ((change, "lock"), (change, "load_locked"), (change, "write"))
KEY = IdempotencyKey(b"caller and key", b"parameters", kept=True)


@around_each(*STEPS)
async def test_a_crash_of_the_worker_decides_once(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)), captured("IM-1"))
    happened = crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await world.advance(certificate_id)
    assert happened.is_set()
    assert await world.published(certificate_id) == SALE[:1]
    assert (await world.advance(certificate_id)).status == "issued"
    assert await world.published(certificate_id) == SALE
    assert await world.pending() == []


@around_each(*STEPS, (change, "read_idle"), (IdempotencyRepository, "find"))
async def test_a_caller_that_got_no_answer_repeats_and_holds_once(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id = await world.issued()
    if step in STEPS[:2]:
        monkeypatch.setattr(change, "WITHOUT_LINES", ())
    if step == (IdempotencyRepository, "find"):
        await hold(world, certificate_id)
    happened = crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await hold(world, certificate_id)
    assert happened.is_set()
    await hold(world, certificate_id)
    assert await world.published(certificate_id) == [*SALE, "redemption.authorized"]
    assert (await world.state(certificate_id)).held == 100


async def hold(world: World, certificate_id: str) -> None:
    request = AuthorizeRedemption(
        channel="pos", redemption_id="R-1", order_id="POS-1", amount=100, currency="RUB"
    )
    assert (await world.act(certificate_id, request, KEY)).refusal is None


@around_each((ReleaseGate, "is_open"))
async def test_a_crash_around_the_gate_releases_once(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    await world.advance(certificate_id)
    world.pass_time(world.policy.unpaid_after_order)
    await world.catch_up(world.now.replace(year=2027))
    crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await world.advance(certificate_id)
    assert await world.status(certificate_id) == "ordered"
    assert (await world.advance(certificate_id)).status == "available"
    assert (await world.published(certificate_id)).count("issue.released") == 1


@around_each((order_changes, "save"))
async def test_a_crash_around_the_telling_of_who_waits_for_the_line_tells_them(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await world.fill(2)
    holder, waiter = await world.reserve(2)
    await world.say(stated("IM-1", 1, sold(holder)))
    await world.advance(holder)
    await world.say(stated("IM-1", 2, sold(waiter)))
    await world.advance(waiter)
    crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await world.advance(holder)
    assert await world.status(holder) == "ordered"
    await world.advance(holder)
    assert (await world.advance(waiter)).status == "ordered"

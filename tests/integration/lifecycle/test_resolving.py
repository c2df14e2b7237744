"""A person decides about a refund: the order is told in the same transaction, and so are its other certificates."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.domain.certificate.refund_resolution import ResolutionRefusal
from giftcert.domain.certificate.state import RefundCase
from giftcert.lifecycle import change, order_changes
from giftcert.storage.certificates import LockRequest
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.temporal.signals import Signal
from tests.crashes import CrashError, Step, around_each, crash
from tests.integration.lifecycle.world import WORTH, World, authorized, captured, refunded, sold, stated

pytestmark = pytest.mark.integration

KEY = IdempotencyKey(b"caller and key", b"parameters")


async def two_that_a_refund_may_mean(world: World) -> list[str]:
    """Return two issued certificates of one order of which one was refunded, nobody knows which."""
    await world.fill(2)
    certificates = await world.reserve(2)
    lines = [sold(one, str(nth)) for nth, one in enumerate(certificates, 1)]
    await world.say(stated("IM-1", 1, *lines), captured("IM-1", 2 * WORTH))
    for certificate_id in certificates:
        assert (await world.advance(certificate_id)).status == "issued"
    await world.say(refunded("IM-1", "RF-1"))
    for certificate_id in certificates:
        await world.advance(certificate_id)
    world.pass_time(timedelta(hours=25))
    for certificate_id in certificates:
        assert (await world.advance(certificate_id)).visibility.refund_reason == "allocationMissing"
    return certificates


async def case_of(world: World, certificate_id: str) -> RefundCase:
    sale = (await world.state(certificate_id)).sale
    assert sale is not None
    return sale.cases[-1]


async def resolve(world: World, certificate_id: str, decision: str, **more: Any) -> change.Outcome:
    request = ResolveRefund(
        refund_case_id=(await case_of(world, certificate_id)).refund_case_id,
        decision=decision,
        amount=None,
        resolved_by="support-1",
        note="seen the till",
    )
    return await world.act(certificate_id, request, **more)


async def test_an_approval_takes_the_refund_from_the_other_certificates(world: World) -> None:
    meant, other = await two_that_a_refund_may_mean(world)
    outcome = await resolve(world, meant, "approve")
    assert outcome.refusal is None
    assert await world.status(meant) == "refunded"
    published = {(wake.certificate_id, wake.signal) for wake in outcome.wakes}
    assert {(meant, Signal.REQUEST_DECIDED), (other, Signal.REQUEST_DECIDED)} <= published
    assert (other, "IM-1", 2) in await world.pending()
    for certificate_id in (meant, other):
        await world.advance(certificate_id)
    assert await world.pending() == []
    assert await world.status(other) == "issued"
    assert not (await case_of(world, other)).is_open
    assert (await world.published(meant)).count("refund.completed") == 1


async def test_a_rejection_leaves_the_refund_to_the_last_certificate(world: World) -> None:
    first, last = await two_that_a_refund_may_mean(world)
    assert (await resolve(world, first, "reject")).refusal is None
    await world.advance(last)
    assert await world.status(first) == "issued"
    assert (await case_of(world, last)).is_open
    assert (await resolve(world, last, "reject")).refusal is None
    [completed] = await world.events(last, "refund.completed")
    assert completed["payload"]["uncovered"]["amount"] == WORTH


async def test_a_decision_locks_all_lines_of_its_order_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever locked its own first and the others later would wait for a certificate that does the same."""
    meant, _ = await two_that_a_refund_may_mean(world)
    real, taken = change.lock, list[LockRequest]()

    async def lock(connection: change.Connection, request: LockRequest) -> object:
        taken.append(request)
        return await real(connection, request)

    monkeypatch.setattr(change, "lock", lock)
    await resolve(world, meant, "approve")
    assert [one.order_id for one in taken] == ["IM-1"]


async def test_the_order_may_name_certificates_that_are_not_ours_and_keeps_its_authorisation(
    world: World,
) -> None:
    await world.fill(2)
    [certificate_id, other] = await world.reserve(2)
    lines = [sold(one, str(nth)) for nth, one in enumerate((certificate_id, other, str(uuid4())), 1)]
    await world.say(stated("IM-1", 1, *lines), captured("IM-1", 3 * WORTH), authorized("IM-1", 1, "P-2"))
    for one in (certificate_id, other):
        await world.advance(one)
    await world.say(refunded("IM-1", "RF-1"))
    await world.advance(certificate_id)
    world.pass_time(timedelta(hours=25))
    await world.advance(certificate_id)
    granted = "SELECT unpaid_until FROM order_lines WHERE unpaid_until IS NOT NULL"
    before = await world.rows(granted)
    assert (await resolve(world, certificate_id, "approve")).refusal is None
    assert await world.status(certificate_id) == "refunded"
    assert await world.rows(granted) == before != []


async def test_of_two_approvals_at_once_one_gets_the_refund(world: World) -> None:
    both = await two_that_a_refund_may_mean(world)
    await asyncio.gather(*(resolve(world, certificate_id, "approve") for certificate_id in both))
    for certificate_id in both:
        await world.advance(certificate_id)
    assert sorted([await world.status(one) for one in both]) == ["issued", "refunded"]
    taken = [
        event["payload"]["taken"]["amount"]
        for certificate_id in both
        for event in await world.events(certificate_id, "refund.completed")
    ]
    assert sum(taken) == WORTH


async def test_a_refused_decision_tells_the_order_nothing(world: World) -> None:
    meant, _ = await two_that_a_refund_may_mean(world)
    known = "SELECT aggregate FROM orders"
    before = await world.rows(known)
    request = ResolveRefund(
        refund_case_id=(await case_of(world, meant)).refund_case_id,
        decision="approve",
        amount=2 * WORTH,
        resolved_by="support-1",
        note="too much",
    )
    assert (await world.act(meant, request)).refusal is not None
    assert await world.rows(known) == before


async def test_a_case_that_nobody_knows_is_refused(world: World) -> None:
    certificate_id = await world.issued()
    request = ResolveRefund(
        refund_case_id="unknown", decision="approve", amount=None, resolved_by="support-1", note="?"
    )
    assert (await world.act(certificate_id, request)).refusal is ResolutionRefusal.NOTHING_PENDING


@around_each(
    (change, "lock"),
    (change, "shares_decided"),
    (order_changes, "revise"),
    (order_changes, "save"),
    (change, "write"),
)
async def test_a_crash_around_any_step_decides_once(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    meant, other = await two_that_a_refund_may_mean(world)
    happened = crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await resolve(world, meant, "approve", key=KEY)
    assert happened.is_set()
    assert await world.status(meant) == "issued"
    assert not (await resolve(world, meant, "approve", key=KEY)).repeated
    assert (await resolve(world, meant, "approve", key=KEY)).repeated
    await world.advance(other)
    assert [await world.status(one) for one in (meant, other)] == ["refunded", "issued"]
    assert (await world.published(meant)).count("refund.completed") == 1

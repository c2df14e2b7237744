"""A fault of ours in the decision about one certificate: it is parked and told, and life goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.messages import (
    Block,
    LineChanged,
    SpendingKind,
    SpendingReported,
    UnpaidDeadlinePassed,
)
from giftcert.lifecycle import review
from giftcert.lifecycle.change import Lifecycle
from tests.integration.lifecycle.world import World, captured, sold, spent, stated

pytestmark = pytest.mark.integration

Fault = Callable[[type, str], None]


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Have the decision about messages of a kind fail for a certificate, until it is for another."""

    def fail(kind: type, certificate_id: str) -> None:
        def faulty(state: Any, message: Any, *more: Any) -> Any:
            if isinstance(message, kind) and state.certificate_id == certificate_id:
                raise KeyError(message)
            return decide(state, message, *more)

        monkeypatch.setattr(review, "decide", faulty)

    return fail


NOBODY = ""


async def test_what_cannot_be_decided_is_parked_and_told_once(world: World, fault: Fault) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    fault(LineChanged, certificate_id)
    seen = await world.advance(certificate_id)
    assert (seen.status, seen.over) == ("reserved", False)
    assert "could not be decided" in seen.details
    assert await world.pending() == []
    [parked] = (await world.stored(certificate_id)).parked
    assert (parked.kind, parked.key, parked.line_key, parked.error) == ("line", "IM-1", 1, "KeyError")
    await world.advance(certificate_id)
    assert await world.published(certificate_id) == ["issue.reserved", "error.processingFailed"]


async def test_a_parked_certificate_can_be_blocked_and_others_go_on(world: World, fault: Fault) -> None:
    await world.fill(2)
    broken, sound = await world.reserve(2)
    fault(LineChanged, broken)
    await world.say(stated("IM-1", 1, sold(broken, "1"), sold(sound, "2")), captured("IM-1", 1_000_000))
    await world.advance(broken)
    assert (await world.advance(sound)).status == "issued"
    assert (await world.act(broken, Block(reason="look into it", by="support-1"))).refusal is None
    assert await world.status(broken) == "blocked"


async def test_a_parked_line_is_tried_again_when_it_changes(world: World, fault: Fault) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    fault(LineChanged, certificate_id)
    await world.advance(certificate_id)
    fault(LineChanged, NOBODY)
    assert (await world.advance(certificate_id)).status == "reserved"
    await world.say(captured("IM-1"))
    assert (await world.advance(certificate_id)).status == "issued"
    assert (await world.stored(certificate_id)).parked == ()


async def test_parked_work_is_tried_again_by_another_build(world: World, fault: Fault) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    fault(LineChanged, certificate_id)
    await world.advance(certificate_id)
    fault(LineChanged, NOBODY)
    newer = Lifecycle(
        world.database,
        world.policy,
        world.lifecycle.keyring,
        web_url=str,
        build="2",
    )
    assert (await newer.advance(certificate_id, world.now)).status == "ordered"


async def test_parked_work_is_tried_again_when_support_asks(world: World, fault: Fault) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    fault(LineChanged, certificate_id)
    await world.advance(certificate_id)
    fault(LineChanged, NOBODY)
    assert (await world.advance(certificate_id, retry_parked=True)).status == "ordered"


async def test_a_spending_that_cannot_be_decided_stays_unapplied_and_holds_up_no_other(
    world: World, fault: Fault
) -> None:
    certificate_id = await world.issued()
    await world.spend(certificate_id, spent(SpendingKind.CAPTURED, 100))
    fault(SpendingReported, certificate_id)
    await world.advance(certificate_id)
    fault(SpendingReported, NOBODY)
    await world.spend(certificate_id, spent(SpendingKind.CAPTURED, 200))
    await world.advance(certificate_id)
    assert len(await world.rows("SELECT 1 FROM spendings WHERE applied_at IS NULL")) == 1
    await world.advance(certificate_id, retry_parked=True)
    assert await world.rows("SELECT 1 FROM spendings WHERE applied_at IS NULL") == []
    assert (await world.stored(certificate_id)).parked == ()


async def test_parked_work_forbids_release(world: World, fault: Fault) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    await world.advance(certificate_id)
    fault(LineChanged, certificate_id)
    await world.say(stated("IM-1", 2, sold(certificate_id), customer_id="C-2"))
    await world.advance(certificate_id)
    world.pass_time(world.policy.unpaid_after_order * 2)
    await world.catch_up()
    assert (await world.advance(certificate_id)).status == "ordered"


async def test_a_deadline_that_cannot_be_decided_hides_none_behind_it(world: World, fault: Fault) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    await world.advance(certificate_id)
    fault(UnpaidDeadlinePassed, certificate_id)
    world.pass_time(world.policy.unpaid_after_order * 2)
    await world.catch_up()
    seen = await world.advance(certificate_id)
    assert (seen.status, seen.next_instant) == ("ordered", None)
    await world.say(captured("IM-1"))
    assert (await world.advance(certificate_id)).status == "issued"

"""Nothing is released on time alone while news of it may be on its way."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from giftcert.domain.certificate.deadlines import Deadline
from giftcert.domain.certificate.messages import SpendingKind, UnpaidDeadlinePassed
from giftcert.lifecycle.release_gate import LONGEST_WAIT, ReleaseGate
from giftcert.storage.quarantine import order_digest
from tests.integration.lifecycle.world import START, World, captured, sold, spent, stated

pytestmark = pytest.mark.integration

A_MINUTE = timedelta(minutes=1)


async def unpaid(world: World) -> str:
    """Return an ordered certificate whose time to be paid has just passed."""
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    await world.advance(certificate_id)
    world.pass_time(world.policy.unpaid_after_order + A_MINUTE)
    return certificate_id


async def test_an_unpaid_certificate_is_released_when_ingest_has_read_past_its_deadline(world: World) -> None:
    certificate_id = await unpaid(world)
    await world.catch_up()
    seen = await world.advance(certificate_id)
    assert (seen.status, seen.over) == ("available", True)
    assert (await world.published(certificate_id))[-2:] == ["alert.unpaid", "issue.released"]
    [alert] = await world.events(certificate_id, "alert.unpaid")
    assert alert["payload"]["webUrl"] == f"http://temporal/{certificate_id}"
    [row] = await world.rows("SELECT available_since FROM certificates")
    assert row["available_since"] == world.now


@pytest.mark.parametrize("mark", [None, START, START + timedelta(hours=72)])
async def test_while_ingest_is_behind_it_looks_again_after_half_the_time_that_it_is_late(
    world: World, mark: object
) -> None:
    certificate_id = await unpaid(world)
    if mark is not None:
        await world.run("INSERT INTO ingest_marks VALUES ('All_Payments', 3, :at)", at=mark)
        await world.catch_up()
    seen = await world.advance(certificate_id)
    assert seen.status == "ordered"
    assert seen.next_instant == world.now + A_MINUTE / 2
    world.pass_time(timedelta(days=30))
    again = await world.advance(certificate_id)
    assert again.next_instant == world.now + LONGEST_WAIT
    assert "issue.released" not in await world.published(certificate_id)


def overtake(monkeypatch: pytest.MonkeyPatch, commit: Callable[[], Awaitable[object]]) -> None:
    """Have something committed after the transaction has read what waits, and before it asks the gate."""
    is_open = ReleaseGate.is_open

    async def overtaken(self: ReleaseGate, *given: Any) -> bool:
        await commit()
        return await is_open(self, *given)

    monkeypatch.setattr(ReleaseGate, "is_open", overtaken)


async def lapsed(world: World) -> str:
    """Return a certificate whose reservation has just run out."""
    certificate_id = await world.reserved()
    world.pass_time(timedelta(hours=1))
    return certificate_id


async def test_a_reservation_lapses_when_ingest_has_read_past_its_end(world: World) -> None:
    certificate_id = await lapsed(world)
    await world.catch_up()
    assert (await world.advance(certificate_id)).status == "available"
    assert await world.published(certificate_id) == ["issue.reserved", "issue.released"]
    assert await world.rows("SELECT resolution FROM reservations") == [{"resolution": "reservationExpired"}]


async def test_marks_and_news_that_commit_before_the_gate_is_asked_keep_a_paid_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate_id = await lapsed(world)

    async def paid_and_read() -> None:
        await world.say(stated("IM-1", 1, sold(certificate_id)), captured("IM-1"))
        await world.catch_up()

    with monkeypatch.context() as overtaking:
        overtake(overtaking, paid_and_read)
        assert (await world.advance(certificate_id)).status == "reserved"
    assert (await world.advance(certificate_id)).status == "issued"


async def test_spendings_that_commit_before_the_gate_is_asked_are_applied_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate_id = await lapsed(world)
    await world.catch_up()

    async def spending() -> None:
        await world.spend(certificate_id, spent(SpendingKind.CAPTURED, 100))
        await world.run("DELETE FROM pending")

    overtake(monkeypatch, spending)
    assert (await world.advance(certificate_id)).status == "reserved"


@pytest.mark.parametrize(
    "named",
    [
        "named_ids = ARRAY[(SELECT certificate_id FROM certificates)]",
        "named_ids = ARRAY[(SELECT reservation_id FROM certificates)]",
        "named_orders = ARRAY[CAST(:order AS bytea)]",
        "searchable = false",
    ],
)
async def test_a_record_in_quarantine_that_may_mean_it_holds_a_release_back_until_it_is_closed(
    world: World, named: str
) -> None:
    certificate_id = await unpaid(world)
    await world.catch_up()
    await world.run(
        """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail, quarantined_at)
            VALUES ('All_SalesOrder', 0, 7, '', 'malformed', '', :at)""",
        at=world.now,
    )
    order = {"order": order_digest(world.lifecycle.keyring, "IM-1")} if ":order" in named else {}
    await world.run(f"UPDATE quarantine SET {named}", **order)  # noqa: S608 - of the test
    assert (await world.advance(certificate_id)).status == "ordered"
    await world.run("UPDATE quarantine SET closed_at = now(), closed_how = 'dismissed'")
    assert (await world.advance(certificate_id)).status == "available"


async def test_a_record_that_cannot_be_searched_holds_back_only_what_was_reserved_before(
    world: World,
) -> None:
    certificate_id = await unpaid(world)
    await world.catch_up()
    await world.run(
        """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail, quarantined_at,
            searchable) VALUES ('All_SalesOrder', 0, 7, '', 'malformed', '', :at, false)""",
        at=START - A_MINUTE,
    )
    assert (await world.advance(certificate_id)).status == "available"


async def test_what_nobody_reserved_is_held_back_by_whatever_cannot_be_searched(world: World) -> None:
    certificate_id = await unpaid(world)
    await world.catch_up()
    state = replace(await world.state(certificate_id), reservation=None)
    deadline = Deadline(START, UnpaidDeadlinePassed())
    async with world.database.connection() as connection:
        gate = ReleaseGate(connection, world.lifecycle.keyring)
        assert await gate.is_open(deadline, state, [], [])
        await world.run(
            """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail,
                quarantined_at, searchable) VALUES ('All_SalesOrder', 0, 7, '', 'malformed', '', :at, false)""",
            at=START - timedelta(days=400),
        )
        assert not await gate.is_open(deadline, state, [], [])


async def test_what_the_same_look_decides_holds_nothing_back(world: World) -> None:
    """News of the line and a purchase that it cannot pay are there, but both are decided before the gate is asked."""
    certificate_id = await unpaid(world)
    await world.say(stated("IM-1", 2, sold(certificate_id), customer_id="C-2"))
    await world.spend(certificate_id, spent(SpendingKind.CAPTURED, 100))
    await world.catch_up()
    assert (await world.advance(certificate_id)).status == "available"
    assert await world.published(certificate_id) == [
        "issue.reserved",
        "issue.ordered",
        "redemption.rejected",
        "alert.redemptionUncovered",
        "alert.unpaid",
        "issue.released",
    ]


async def test_an_order_that_is_too_large_keeps_its_certificates(world: World) -> None:
    certificate_id = await unpaid(world)
    await world.catch_up()
    await world.run("UPDATE orders SET too_large = true")
    assert (await world.advance(certificate_id)).status == "ordered"

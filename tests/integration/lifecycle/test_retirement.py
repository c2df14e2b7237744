"""Retirement of a batch: step by step, with its progress to look at, and carried on whatever happens."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from activities.maintenance import MaintenanceActivities
from giftcert.domain.certificate.state import RefundState
from giftcert.lifecycle import retirement
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.retirement import Retired
from giftcert.lifecycle.visibility import visibility
from giftcert.settings import Settings
from giftcert.storage import operations
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.operations import (
    Operation,
    OperationRepository,
    UnknownBatchError,
)
from tests.crashes import CrashError, Step, around_each, crash
from tests.integration.lifecycle.world import World, captured, refunded, returned, sold, stated

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CHUNK", 3)


async def start(world: World, batch_id: UUID | None = None, certificate_id: UUID | None = None) -> Operation:
    operation = Operation(
        operation_id=uuid7(),
        batch_id=batch_id,
        certificate_id=certificate_id,
        reason="the printer lost a box",
        requested_by="ops-1",
        requested_at=world.now,
    )
    async with world.database.transaction() as connection:
        return await OperationRepository(connection).start(operation, "GiftCertificates.Stream-0")


async def start_all(world: World) -> Operation:
    [row] = await world.rows("SELECT batch_id FROM batches")
    return await start(world, row["batch_id"])


async def step(world: World, operation: Operation) -> Retired:
    return await retirement.retire_next(world.lifecycle, operation.operation_id, world.now)


async def run(world: World, operation: Operation) -> None:
    while not (await step(world, operation)).finished:
        pass


async def progress(world: World, operation: Operation) -> Operation:
    async with world.database.connection() as connection:
        found = await OperationRepository(connection).find(operation.operation_id)
    assert found is not None
    return found


async def unfinished(world: World) -> list[UUID]:
    async with world.database.connection() as connection:
        return await OperationRepository(connection).unfinished()


async def mixed(world: World) -> list[str]:
    """Ten certificates of one batch: free, reserved, ordered and issued ones."""
    await world.fill(10)
    ids = await world.reserve(6)
    for nth, certificate_id in enumerate(ids[:4]):
        order_id = f"IM-{nth}"
        await world.say(stated(order_id, 1, sold(certificate_id)))
        if nth % 2:
            await world.say(captured(order_id))
        await world.advance(certificate_id)
    return ids


async def statuses(world: World) -> dict[tuple[str, bool], int]:
    rows = await world.rows("SELECT status, blocked, count(*) AS n FROM certificates GROUP BY 1, 2")
    return {(row["status"], row["blocked"]): row["n"] for row in rows}


async def test_a_batch_is_retired_as_far_as_it_is_not_sold_and_blocked_for_the_rest(world: World) -> None:
    ids = await mixed(world)
    operation = await start_all(world)
    assert (operation.total, operation.done) == (10, 0)
    await run(world, operation)
    done = await progress(world, operation)
    assert (done.done, done.retired, done.blocked, done.finished_at) == (10, 6, 4, world.now)
    assert await statuses(world) == {("retired", False): 6, ("ordered", True): 2, ("issued", True): 2}
    assert (await world.published(ids[0]))[-1] == "audit.blocked"
    assert (await world.published(ids[5])) == ["issue.reserved", "audit.retired"]
    [event] = await world.events(ids[5], "audit.retired")
    assert event["payload"] == {"reason": "the printer lost a box", "by": "ops-1", "breakage": None}


async def test_its_progress_can_be_looked_at_after_every_step(world: World) -> None:
    await world.fill(7)
    operation = await start_all(world)
    seen = []
    while not (await step(world, operation)).finished:
        now = await progress(world, operation)
        seen.append((now.done, now.retired, now.finished_at))
        assert await unfinished(world) == [operation.operation_id]
    assert seen == [(3, 3, None), (6, 6, None)]
    assert (await progress(world, operation)).done == 7
    assert await unfinished(world) == []
    assert (await step(world, operation)).finished


async def test_a_certificate_alone(world: World) -> None:
    kept, retired = await world.fill(2)
    operation = await start(world, certificate_id=UUID(retired))
    assert (await step(world, operation)).finished
    assert [await world.status(one) for one in (kept, retired)] == ["available", "retired"]
    assert (await progress(world, operation)).retired == 1


async def test_operations_are_carried_on_the_oldest_first_until_none_is_left(world: World) -> None:
    first, second = [await start(world, certificate_id=UUID(one)) for one in await world.fill(2)]
    client: Any = None  # nobody is signalled of what was never sold
    activities = MaintenanceActivities(world.database, Settings(_env_file=None), world.lifecycle, client)
    assert await activities.retire_batch() == 1
    assert [(await progress(world, one)).done for one in (first, second)] == [1, 0]
    assert [await activities.retire_batch() for _ in range(2)] == [1, 0]
    assert await unfinished(world) == []


async def test_what_does_not_exist_is_not_retired(world: World) -> None:
    with pytest.raises(UnknownBatchError):
        await start(world, uuid4())
    with pytest.raises(UnknownCertificateError):
        await start(world, certificate_id=uuid4())


async def test_an_operation_that_nobody_knows_is_over(world: World) -> None:
    assert await retirement.retire_next(world.lifecycle, uuid7(), world.now) == Retired(finished=True)


async def test_two_processes_at_the_same_operation_count_each_certificate_once(world: World) -> None:
    await mixed(world)
    operation = await start_all(world)
    await asyncio.gather(*(run(world, operation) for _ in range(3)))
    done = await progress(world, operation)
    assert (done.done, done.retired, done.blocked) == (10, 6, 4)


async def test_whoever_leads_a_blocked_certificate_is_woken(world: World) -> None:
    ids = await mixed(world)
    operation = await start_all(world)
    wakes = []
    while True:
        retired = await step(world, operation)
        wakes += retired.wakes
        if retired.finished:
            break
    assert {wake.certificate_id for wake in wakes} == set(ids[:4])


@around_each(
    (OperationRepository, "find"),
    (OperationRepository, "retire_unsold"),
    (Lifecycle, "act"),
    (OperationRepository, "advance"),
    (retirement, "retire_next"),
)
@pytest.mark.parametrize("nth", [1, 2])
async def test_what_a_crash_cut_short_is_carried_on(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str, nth: int
) -> None:
    ids = await mixed(world)
    operation = await start_all(world)
    happened = crash(monkeypatch, step, moment, nth=nth)
    with pytest.raises(CrashError):
        await run(world, operation)
    assert happened.is_set()
    await run(world, operation)
    done = await progress(world, operation)
    assert (done.done, done.retired, done.blocked) == (10, 6, 4)
    for certificate_id in ids:
        published = await world.published(certificate_id)
        assert len([one for one in published if one in {"audit.retired", "audit.blocked"}]) == 1


async def test_with_refunds_open_requested_and_pending_row_case_search_and_stream_say_the_same(
    world: World,
) -> None:
    """A block is a reason why a refund cannot be carried out: the case says so everywhere, at once."""
    await world.fill(3)
    requested, pending, completed = await world.reserve(3)
    for certificate_id, order_id in zip(
        (requested, pending, completed), ("IM-1", "IM-2", "IM-3"), strict=True
    ):
        await world.say(stated(order_id, 1, sold(certificate_id)), captured(order_id))
        await world.advance(certificate_id)
    await world.say(refunded("IM-2", "R-2", 100_000, line_id="1"))
    await world.say(refunded("IM-3", "R-3", line_id="1"))
    for certificate_id in (pending, completed):
        await world.advance(certificate_id)
    world.pass_time(timedelta(days=8))
    await world.say(returned("IM-1", 2, "1"))
    for certificate_id in (requested, pending):
        await world.advance(certificate_id)

    await run(world, await start_all(world))

    for certificate_id, refund_state in (
        (requested, RefundState.REQUESTED),
        (pending, RefundState.PENDING_DETAILS),
        (completed, RefundState.COMPLETED),
    ):
        state = await world.state(certificate_id)
        [row] = await world.rows(
            """SELECT status, blocked, refund_state, any_refund_state FROM certificates
                WHERE certificate_id = CAST(:id AS uuid)""",
            id=certificate_id,
        )
        [last] = await world.rows(
            """SELECT status, refund_state FROM events WHERE certificate_id = CAST(:id AS uuid)
                ORDER BY sequence DESC LIMIT 1""",
            id=certificate_id,
        )
        assert row["refund_state"] == row["any_refund_state"] == state.refund_state == refund_state
        assert last == {"status": state.shown_status, "refund_state": refund_state}
        assert visibility(state).refund_state == refund_state.value

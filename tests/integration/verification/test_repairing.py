"""What got lost on its way is set off again, and then nothing is wrong any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError

from giftcert.dispatch.main import serve as dispatch
from giftcert.storage.pool_changes import PoolChangeRepository
from giftcert.temporal.client import connect
from giftcert.temporal.namespace import ensure_namespace
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflow_starts import signal_certificate, workflow_id
from giftcert.verification.repair import still_waits, until_effective
from tests.integration.kafka_ingest.ingest_store import keep_unmatched
from tests.integration.verification.conftest import World, a_wake
from tests.integration.verification.sold_world import (
    ASKED,
    BLOCKED,
    HELD,
    ISSUED,
    ORDERED,
    PARTLY,
    PRICE,
    SPENT,
    led_certificates,
    publish_all,
)
from tests.integration.verification.spoiling import as_it_was, is_of, unpublish
from tests.waiting import until
from worker import running

pytestmark = pytest.mark.integration
PENDING_AGAIN = "lines and spendings made pending again: 1"
WOKEN = "workflows woken, or started where none ran: 1"


async def test_an_event_that_the_stream_lost_is_published_again(world: World) -> None:
    await world.tell_again(
        lambda record: () if is_of(record, world.ids[ISSUED], "issue.ordered") else as_it_was(record)
    )

    assert await world.repair() == ["events that the stream lacks put into the outbox again: 1"]

    await publish_all(world.database, world.settings)
    assert (await world.verify()).hold


@pytest.mark.parametrize("what", ["line", "spending"])
async def test_what_nobody_was_told_of_is_decided(world: World, what: str) -> None:
    sales = world.sales
    await world.tell_again(as_it_was)
    come = sales.refunded(ISSUED, PRICE) if what == "line" else sales.spends(HELD, 50_000)
    await sales.store.commit(come)
    await world.spoil("DELETE FROM pending")

    assert await world.repair() == [PENDING_AGAIN, WOKEN]

    await sales.decide()  # as the workflow that was woken
    await publish_all(world.database, world.settings)
    assert (await world.verify()).hold


async def test_a_payment_that_was_left_behind_is_folded(world: World) -> None:
    sales = world.sales
    await world.tell_again(as_it_was)
    async with world.database.transaction() as connection:
        await keep_unmatched(connection, sales.captured(ORDERED))
    await world.spoil("UPDATE orders SET recheck = false, recheck_fence = NULL")

    assert await world.repair() == ["orders looked at again by ingest, which folds their payments: 1"]

    await sales.store.settled()
    await sales.decide()
    await publish_all(world.database, world.settings)
    assert (await world.verify()).hold
    status = "SELECT status FROM certificates WHERE certificate_id = :id"
    assert await world.value(status, of=ORDERED) == "issued"


async def test_what_could_not_be_decided_is_tried_again(world: World) -> None:
    await world.spoil(
        """UPDATE certificates SET parked = jsonb_build_array(jsonb_build_object('kind', 'line', 'key', order_id,
            'line_key', line_key, 'revision', 2, 'build', 'command line', 'error', 'KeyError', 'since', now()))
            WHERE certificate_id = :id""",
        of=ISSUED,
    )

    assert await world.repair() == ["certificates tried again what could not be decided: 1", WOKEN]
    assert (await world.verify()).hold


async def test_a_shard_that_lost_its_row_gets_it_back(world: World) -> None:
    await world.spoil("DELETE FROM outbox_shards WHERE shard = 7")

    assert await world.repair() == ["shards given their row again, so that their events are published: 1"]
    assert (await world.verify()).hold
    assert await world.repair() == []


async def test_a_pool_that_was_counted_wrongly_is_counted_anew(world: World) -> None:
    async with world.database.transaction() as connection:
        await PoolChangeRepository(connection).fold(datetime.now(UTC))
    await world.spoil("UPDATE pool_counts SET certificates = certificates + 1")
    await world.spoil("INSERT INTO pool_changes VALUES ('GC-5000', NULL, 'retired', 3)")
    assert await world.repair() == ["products whose certificates were counted anew: 1"]
    assert (await world.verify()).hold


async def test_what_waits_for_a_part_that_stands_still_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.tell_again(
        lambda record: () if is_of(record, world.ids[ISSUED], "audit.cvcDisclosed") else as_it_was(record)
    )
    await unpublish(world, "audit.cvcDisclosed")
    monkeypatch.setattr("giftcert.verification.repair.PATIENCE_SECONDS", 0.3)

    found = await world.verify()
    assert {one.rule for one in found.violations} == {"unpublished"}
    assert await world.repair() == []
    assert still_waits(found)
    shown: list[int] = []
    assert not await until_effective(world.database, found, lambda _what, done, _of: shown.append(done))
    await publish_all(world.database, world.settings)
    assert await until_effective(world.database, found, lambda *_: None)
    assert shown == [0]


async def test_what_only_a_person_can_mend_is_left(world: World) -> None:
    await world.spoil("DELETE FROM disclosures")

    assert await world.repair() == []
    assert not still_waits(await world.verify())


@pytest.mark.timeout(240)
async def test_one_repair_mends_whatever_happened_to_runs_and_signals(world: World, tmp_path: Path) -> None:
    """Open, cancelled and terminated runs, each with a signal that was lost or without; and one that never began."""
    sales = world.sales
    await world.tell_again(as_it_was)  # onto a stream of its own
    lost = (ISSUED, ORDERED, BLOCKED)
    async with service(world):
        handles = {
            nth: world.client.get_workflow_handle(workflow_id(one)) for nth, one in enumerate(world.ids)
        }
        for nth in (ORDERED, PARTLY):
            await cancel(handles[nth])
        for nth in (BLOCKED, ASKED):
            await handles[nth].terminate()
        await sales.store.commit(
            sales.refunded(ISSUED, PRICE), sales.captured(ORDERED), sales.refunded(BLOCKED, PRICE)
        )
        await world.spoil("UPDATE pending SET since = now() - interval '10 min'")
        await instant_was_missed(world, HELD)

        async def is_missed() -> bool:  # the list lags behind
            return await world.broken() == {9: {"pending", "runMissing", "overdue"}}

        await until(is_missed)
        done = await world.command(tmp_path, "--repair")
        assert done.returncode == 0, done.stdout
        assert (
            "All invariants hold.\nrepaired: workflows woken, or started where none ran: 5\n" in done.stdout
        )
        for nth in (ORDERED, PARTLY, BLOCKED, ASKED, HELD, SPENT):
            assert (await handles[nth].describe()).status is WorkflowExecutionStatus.RUNNING
    ids = [UUID(world.ids[nth]) for nth in lost]
    statuses = (
        "SELECT array_agg(status ORDER BY certificate_id) FROM certificates WHERE certificate_id = ANY(:ids)"
    )
    assert await world.value(statuses, ids=ids) == ["refunded", "issued", "issued"]


async def cancel(handle: WorkflowHandle[Any, Any]) -> None:
    """Cancel a run, and wait until it has looked and goes on."""
    await handle.cancel()
    requested, looked = (
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    )

    async def goes_on() -> bool:
        types = [event.event_type for event in (await handle.fetch_history()).events]
        return requested in types and looked in types[types.index(requested) :]

    await until(goes_on)


async def instant_was_missed(world: World, nth: int) -> None:
    """The hold has lapsed, and neither timer nor sweep has woken anybody; nor is there a run."""
    await world.client.get_workflow_handle(workflow_id(world.ids[nth])).terminate()
    lapsed = """UPDATE certificates SET next_instant = now() - interval '10 min', state = jsonb_set(state,
        '{redemptions,0,expires_at}', to_jsonb(now() - interval '10 min')) WHERE certificate_id = :id"""
    await world.spoil(lapsed, of=nth)
    await world.spoil(
        "UPDATE redemptions SET expires_at = now() - interval '10 min' WHERE certificate_id = :id", of=nth
    )


@asynccontextmanager
async def service(world: World) -> AsyncIterator[None]:
    """A worker and a dispatcher, in a namespace of the test's own: what they do would be seen by every other test."""
    world.settings = world.settings.model_copy(update={"temporal_namespace": f"repair-{uuid4().hex[:8]}"})
    world.client = await connect(world.settings)
    await ensure_namespace(world.client)
    world.runs = CertificateRuns(world.client)
    publishing = asyncio.create_task(dispatch(world.settings))
    async with running(world.settings):
        for certificate_id in await led_certificates(world.database):
            await signal_certificate(world.client, a_wake(certificate_id))
            await until(lambda one=certificate_id: has_looked(world.client, one))
        assert (await world.verify()).hold
        yield
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing


async def has_looked(client: Client, certificate_id: str) -> bool:
    handle = client.get_workflow_handle(workflow_id(certificate_id))
    try:
        return await handle.query("status") is not None
    except RPCError:  # no worker leads it yet
        return False

"""Reconciliation tells the stream of each violation once while it stands, under what it is about."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from temporalio.worker import Worker

from activities.maintenance import MaintenanceActivities
from activities.payloads import Reconciled
from giftcert.contracts.stream import encode_event
from giftcert.security.keyring import Keyring, SealError
from giftcert.storage.events import EVENT, stored_event
from giftcert.temporal.workflow_starts import Reconciliation
from giftcert.verification.alerts import report
from tests.event_schemas import validate_event
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import ISSUED, POOL, RESERVED
from tests.sandbox import sandbox
from workflows.maintenance import ReconciliationWorkflow

pytestmark = pytest.mark.integration
ALERTS = f"""
    SELECT {EVENT} FROM events AS e WHERE event_type = 'alert.invariantViolated' ORDER BY recorded_at
"""  # noqa: S608 - made of constants


async def reported(world: World) -> list[tuple[str, int, str]]:
    """The alerts: stream key, invariant, rule. Each is as published."""
    async with world.database.connection() as connection:
        alerts = [stored_event(row) for row in await connection.fetch(ALERTS)]
    found = []
    for alert in alerts:
        _, value, _ = encode_event(alert)
        event = json.loads(value)
        validate_event(event)
        found.append((alert.stream_key, event["payload"]["invariant"], event["payload"]["rule"]))
    return found


async def reconcile(world: World, sample: int | None = None) -> int:
    findings = await world.verify(sample)
    now, whole = datetime.now(UTC), sample is None
    return await report(world.database, world.settings, findings, now, whole=whole)


async def break_fold(world: World, by: int) -> None:
    await world.spoil(
        "UPDATE certificates SET balance = balance - :by WHERE certificate_id = :id", by=by, of=ISSUED
    )


async def test_a_violation_is_reported_once_while_it_stands_and_again_when_it_comes_back(
    world: World,
) -> None:
    await break_fold(world, 1)
    assert await reconcile(world) == 1
    assert await reconcile(world) == 0
    assert await reconcile(world, sample=5) == 0
    assert await reported(world) == [(world.ids[ISSUED], 5, "foldDiffers")]

    await break_fold(world, -1)
    assert await reconcile(world) == 0
    await break_fold(world, 1)
    assert await reconcile(world) == 1


async def test_a_sample_does_not_forget_what_it_did_not_look_at(world: World) -> None:
    await break_fold(world, 1)
    await reconcile(world)
    await world.spoil("UPDATE known_violations SET last_seen = last_seen - interval '1 h'")
    await reconcile(world, sample=1)
    assert await world.value("SELECT count(*) FROM known_violations") == 1


async def test_each_is_reported_under_what_it_is_about(world: World) -> None:
    await world.spoil("UPDATE batches SET quantity = quantity + 1")
    await world.spoil("UPDATE quarantine SET record_value = 'in clear' WHERE reason = 'unknownCertificate'")
    await world.spoil("DELETE FROM outbox_shards WHERE shard = 7")

    assert await reconcile(world) == 4

    stream = f"{world.settings.topic_stream}-0"
    place = ("All_SalesOrder-0", 7, "recordUnsealed")
    expected = {
        ("GC-5000", 1, "countDiffers"),
        ("GC-5000", 1, "batchUnrecorded"),
        place,
        (stream, 9, "shardMissing"),
    }
    assert set(await reported(world)) == expected


async def test_what_cannot_be_reported_under_its_certificate_is_reported_all_the_same(world: World) -> None:
    await world.spoil("UPDATE certificates SET sequence = 0 WHERE certificate_id = :id", of=RESERVED)
    assert await reconcile(world) == 1
    assert await reported(world) == [(f"{world.settings.topic_stream}-0", 6, "gap")]


async def test_many_are_reported_little_by_little(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("giftcert.verification.alerts.REPORTED_AT_ONCE", 3)
    await world.spoil("DELETE FROM outbox_shards WHERE shard < 5")
    assert [await reconcile(world) for _ in range(3)] == [3, 2, 0]


async def test_the_workflow_finds_tells_and_says_so(world: World) -> None:
    await break_fold(world, 1)
    await world.link()
    queue = f"maintenance-{uuid4().hex[:8]}"
    client = world.client
    maintenance = MaintenanceActivities(world.database, world.settings, world.lifecycle, client)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[ReconciliationWorkflow],
        activities=[maintenance.reconcile],
        workflow_runner=sandbox(),
    ):
        start = client.execute_workflow
        results = [
            await start(ReconciliationWorkflow.run, what, id=queue, task_queue=queue)
            for what in (Reconciliation(), Reconciliation(POOL))
        ]

    assert results == [Reconciled({"5": 1}, 1), Reconciled({"5": 1}, 0)]


async def test_nothing_is_judged_by_a_strange_keyring(world: World, tmp_path: Any) -> None:
    world.keyring = Keyring.create(tmp_path / "other.json")
    with pytest.raises(SealError):
        await world.verify()

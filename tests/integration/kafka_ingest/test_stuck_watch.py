"""Stuck watch: each workflow whose tasks fail again and again is one alert, and found at little cost."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

from giftcert.health import Health
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.known_violations import KnownViolationRepository
from giftcert.storage.sweep import STALLED
from giftcert.temporal.runs import CertificateRuns, FailingTask, StuckRun
from giftcert.verification.alerts import STUCK_LASTS
from kafka_ingest.stuck_watch import StuckWatch
from tests.integration.kafka_ingest.ingest_store import Store
from tests.named_values import query

pytestmark = pytest.mark.integration
PROBLEMS = ("category=WorkflowTaskFailed", "cause=WorkflowTaskFailedCauseNonDeterministicError")


@dataclass
class Runs:
    """Stands in for Temporal: what it lists as stuck, and of which certificates tasks fail."""

    listed: list[StuckRun] = field(default_factory=list)
    tasks: dict[str, FailingTask] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def stuck(self) -> list[StuckRun]:
        return self.listed

    async def failing(self, certificate_id: str) -> FailingTask | None:
        self.asked.append(certificate_id)
        return self.tasks.get(certificate_id)


@dataclass
class Scene:
    database: Database
    certificates: list[str]
    runs: Runs
    watch: StuckWatch
    now: datetime

    async def look(self) -> list[dict[str, Any]]:
        """Have the watch look once; return all alerts that there are."""
        await self.watch.work()
        async with self.database.connection() as connection:
            return await query(
                connection, "SELECT * FROM events WHERE event_type = 'alert.workflowStuck' ORDER BY event_id"
            )

    async def is_due(self, certificate_id: str, **since: timedelta) -> None:
        """Make a certificate due some time ago; the sweep has signalled it since then."""
        at = self.now - timedelta(**since)  # type: ignore[arg-type] # by name
        async with self.database.transaction() as connection:
            await query(
                connection,
                """UPDATE certificates SET next_instant = :at, timer_at = :at, swept_at = :at
                WHERE certificate_id = CAST(:id AS uuid)""",
                at=at,
                id=certificate_id,
            )
            await connection.execute("UPDATE sweep_bounds SET looked_to = $1", at - timedelta(hours=1))


@pytest.fixture
async def scene(store: Store) -> Scene:
    runs, settings = Runs(), Settings(_env_file=None)
    made = Scene(store.database, store.certificates, runs, None, datetime.now(UTC))  # type: ignore[arg-type] # below
    made.watch = StuckWatch(store.database, settings, runs, Health(), lambda: made.now)  # type: ignore[arg-type] # a stand-in
    return made


async def test_a_stuck_workflow_is_one_alert_with_its_link_until_it_is_stuck_again(scene: Scene) -> None:
    workflow = f"certificate-{scene.certificates[0]}"
    scene.runs.listed = [StuckRun(workflow, "run-1", PROBLEMS)]
    for _ in range(2):
        [alert] = await scene.look()
        scene.now += STUCK_LASTS / 2
    assert alert["payload"]["problems"] == [*PROBLEMS]
    assert alert["payload"]["webUrl"].endswith(f"/workflows/{workflow}")
    assert (alert["status"], str(alert["certificate_id"])) == ("available", scene.certificates[0])
    async with scene.database.connection() as connection:
        assert await KnownViolationRepository(connection).stuck(scene.now - STUCK_LASTS) == [workflow]
    assert scene.watch.health.notes == {"stuckWorkflows": "1 workflow: see giftcert status"}

    scene.runs.listed = []
    scene.now += STUCK_LASTS
    await scene.look()
    assert scene.watch.health.notes == {}
    async with scene.database.connection() as connection:
        assert await KnownViolationRepository(connection).stuck(scene.now - STUCK_LASTS) == []
    scene.runs.listed = [StuckRun(workflow, "run-1", PROBLEMS)]
    assert len(await scene.look()) == 2


async def test_a_stuck_run_of_maintenance_is_reported_too_as_it_is_of_no_certificate(scene: Scene) -> None:
    scene.runs.listed = [StuckRun("audit-2026-11-23T12:00:00Z", "run-1", PROBLEMS)]
    assert await scene.look() == []
    async with scene.database.connection() as connection:
        [failed] = await query(connection, "SELECT * FROM events WHERE event_type = 'error.processingFailed'")
    assert failed["payload"]["reason"] == "workflowStuck"
    assert failed["payload"]["detail"] == f"audit-2026-11-23T12:00:00Z: {', '.join(PROBLEMS)}"


async def test_an_activity_that_fails_on_and_on_is_found_where_its_certificate_is_overdue(
    scene: Scene,
) -> None:
    """Temporal lists no such run; what failed while a server was away is tried again and is no alert."""
    overdue, hardly, *_ = scene.certificates
    await scene.is_due(overdue, seconds=STALLED.total_seconds() + 1)
    await scene.is_due(hardly, seconds=STALLED.total_seconds() - 1)
    for attempt in (9, 10):
        scene.runs.tasks = {overdue: FailingTask("run-1", "activity advance", attempt)}
        assert await scene.look() == []
    scene.runs.tasks = {overdue: FailingTask("run-1", "activity advance", 11)}
    [alert] = await scene.look()
    assert alert["payload"]["problems"] == ["activity advance failed 10 times"]
    assert set(scene.runs.asked) == {overdue}


async def test_nobody_is_asked_about_certificates_that_wait_as_they_should(scene: Scene) -> None:
    await scene.is_due(scene.certificates[0], hours=-1)
    assert await scene.look() == []
    assert scene.runs.asked == []


async def test_temporal_is_asked_in_its_own_words(temporal: Client) -> None:
    runs = CertificateRuns(temporal)
    assert await runs.stuck() == []
    assert await runs.failing("00000000-0000-7000-8000-000000000000") is None
    assert [page async for page in runs.left_behind("giftcert:a-build")] == [[]]

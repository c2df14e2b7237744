"""Work that nobody does: found by its age, reported once, again while it lasts, and when it is over."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from temporalio.client import Client

from giftcert.clock import utc_now
from giftcert.contracts.notices import OverdueWorkReason
from giftcert.overdue_work import OVERDUE, POLLERS, OverdueWatch, look
from giftcert.settings import Settings
from giftcert.storage.database import Connection, Database
from giftcert.temporal.client import connect
from giftcert.temporal.workflow_starts import signal_certificate
from tests.folding import fold
from tests.integration.api.api_client import open_api, settings_for
from tests.integration.api.sales import captured, open_stock, ordered, with_own_namespace
from tests.integration.kafka_ingest.ingest_store import add_certificates
from tests.waiting import until
from worker import running

pytestmark = pytest.mark.integration
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ALERTS = """
    SELECT payload ->> 'reason', payload ->> 'subject', (payload ->> 'over')::boolean
    FROM events WHERE event_type = 'alert.workOverdue' AND payload ->> 'reason' <> 'unpublishedEvent'
    ORDER BY recorded_at
"""
NO_WORKER = ("queueWithoutWorker", "certificates-im")


async def alerts(database: Database) -> list[tuple[str, str | None, bool]]:
    """Return reason, subject and whether it is over. Nothing is published here, which is overdue by itself."""
    async with database.connection() as connection:
        return [tuple(row) for row in await connection.fetch(ALERTS)]


async def write(database: Database, statement: str, *values: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(statement, *values)


@dataclass
class Clock:
    """Ahead of everybody's."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(fresh_database_url: str, tmp_path: Path) -> Settings:
    return settings_for(fresh_database_url, tmp_path)


@pytest.fixture
async def watch(settings: Settings, clock: Clock) -> OverdueWatch:
    """A watch that Temporal does not answer."""
    database = Database(settings.database_address)
    return OverdueWatch(database, await connect(settings, lazy=True), settings, clock)


async def test_a_channel_without_a_worker_is_an_alert_a_metric_and_a_line_until_it_has_one(
    settings: Settings, temporal_address: str
) -> None:
    own, client = await with_own_namespace(settings, temporal_address)
    own = own.model_copy(update={"overdue_after": SECOND})
    others = own.model_copy(update={"worker_channels": ("pos",)})
    async with open_stock(own) as stock, open_api(own) as api, running(others):
        watch = OverdueWatch(stock.database, client, own)
        await stock.fill(1)
        await sell(stock.database, client, own, (await api.next()).json())

        async def reported(*expected: tuple[str, str | None, bool]) -> bool:
            await watch.work()
            return set(expected) <= set(await alerts(stock.database))

        await until(partial(reported, (*NO_WORKER, False), ("pendingWork", None, False)))
        found = await look(stock.database, client, own, utc_now())
        assert {(one.reason, one.subject) for one in found.overdue} >= {NO_WORKER}
        assert OVERDUE.labels(OverdueWorkReason.QUEUE_WITHOUT_WORKER)._value.get() == 1
        assert POLLERS.labels("certificates-im")._value.get() == 0
        assert POLLERS.labels("certificates-pos")._value.get() > 0

        async with running(own):
            await until(partial(reported, (*NO_WORKER, True), ("pendingWork", None, True)))
        assert OVERDUE.labels(OverdueWorkReason.QUEUE_WITHOUT_WORKER)._value.get() == 0
        assert len(await alerts(stock.database)) == 4, "each once, and once that it is over"


async def sell(database: Database, client: Client, settings: Settings, claim: dict[str, str]) -> None:
    """Commit order and payment, and signal, as ingest does."""
    for message in (ordered("IM-1", claim), captured("IM-1")):
        async with database.transaction() as connection:
            wakes = await fold(connection, [message], datetime.now(UTC), settings.policy)
        for wake in wakes:
            await signal_certificate(client, wake)


async def leave_pending(connection: Connection, certificate_id: str, since: datetime) -> None:
    await connection.execute(
        "INSERT INTO pending (certificate_id, kind, channel, since) VALUES ($1, 'certificate_spent', 'im', $2)",
        certificate_id,
        since,
    )


@pytest.mark.made_up_events
async def test_what_is_overdue_is_reported_once_by_all_again_while_it_lasts_and_when_it_is_over(
    watch: OverdueWatch, clock: Clock
) -> None:
    database, other = watch.database, OverdueWatch(watch.database, watch.client, watch.settings, watch.clock)
    [certificate] = await add_certificates(database, 1)
    async with database.transaction() as connection:
        await leave_pending(connection, certificate, utc_now())
    await watch.work()
    assert await alerts(database) == [], "it waits no longer than it may"
    clock.ahead = 3 * MINUTE
    for one in (watch, other, watch):
        await one.work()
    assert await alerts(database) == [("pendingWork", None, False)]
    clock.ahead += watch.settings.overdue_alert_every
    await other.work()
    assert await alerts(database) == [("pendingWork", None, False)] * 2
    await write(database, "DELETE FROM pending")
    for one in (watch, other):
        await one.work()
    assert await alerts(database) == [("pendingWork", None, False)] * 2 + [("pendingWork", None, True)]


async def test_deadlines_events_and_refunds_are_overdue_by_their_own_bounds(
    watch: OverdueWatch, clock: Clock
) -> None:
    due, refunded = await add_certificates(watch.database, 2)
    now = utc_now()
    await write(
        watch.database, "UPDATE certificates SET next_instant = $2 WHERE certificate_id = $1", due, now
    )
    await write(
        watch.database,
        """UPDATE certificates SET any_refund_state = 'pendingDetails',
            state = jsonb_build_object('sale', jsonb_build_object('cases', jsonb_build_array(
                jsonb_build_object('state', 'pendingDetails', 'pending_since', $2::timestamptz))))
            WHERE certificate_id = $1""",
        refunded,
        now,
    )
    await write(
        watch.database,
        """WITH made AS (INSERT INTO events (event_id, stream_key, event_type, occurred_at, payload)
            VALUES (gen_random_uuid(), 'stream-0', 'audit.operatorActed', now(), '{"who": "x", "what": "y"}')
            RETURNING event_id)
        INSERT INTO outbox (shard, event_id) SELECT 0, event_id FROM made""",
    )

    async def overdue() -> set[OverdueWorkReason]:
        found = await look(watch.database, None, watch.settings, clock())
        return {one.reason for one in found.overdue}

    clock.ahead = MINUTE
    assert await overdue() == set()
    clock.ahead = 3 * MINUTE
    assert await overdue() == {OverdueWorkReason.PASSED_DEADLINE, OverdueWorkReason.UNPUBLISHED_EVENT}
    clock.ahead = watch.settings.refund_overdue_after + MINUTE
    assert OverdueWorkReason.UNDECIDED_REFUND in await overdue()


async def test_what_is_parked_is_passed_over(watch: OverdueWatch, clock: Clock) -> None:
    [certificate] = await add_certificates(watch.database, 1)
    async with watch.database.transaction() as connection:
        await leave_pending(connection, certificate, utc_now())
        await connection.execute("UPDATE certificates SET parked = '{}', next_instant = now()")
    clock.ahead = timedelta(hours=1)
    assert not (await look(watch.database, None, watch.settings, clock())).waiting


@pytest.mark.made_up_events
async def test_while_temporal_does_not_say_how_its_queues_are_their_alerts_stand(watch: OverdueWatch) -> None:
    await write(
        watch.database,
        "INSERT INTO known_violations VALUES ('workOverdue queueWithoutWorker certificates-im', now())",
    )
    await watch.work()
    assert await alerts(watch.database) == []

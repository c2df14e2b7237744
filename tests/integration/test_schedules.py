"""Schedules on a real Temporal: made once, brought up to the settings, and never two runs of one at a time."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client, Schedule

from giftcert.settings import Settings
from giftcert.temporal.client import connect
from giftcert.temporal.namespace import ensure_namespace
from giftcert.temporal.schedules import (
    RETENTION,
    RETIREMENT,
    WHOLE_RECONCILIATION,
    ensure_schedules,
    start_retirements,
)
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
async def client(temporal_address: str) -> Client:
    """Of a namespace of its own, in which no worker runs."""
    namespace = f"schedules-{uuid4().hex[:8]}"
    settings = Settings(temporal_address=temporal_address, temporal_namespace=namespace, _env_file=None)
    connected = await connect(settings)
    await ensure_namespace(connected)
    return connected


async def made(client: Client, name: str, **settings: object) -> Schedule:
    await ensure_schedules(client, Settings(_env_file=None, **settings))  # type: ignore[arg-type] # of several types
    return (await client.get_schedule_handle(name).describe()).schedule


async def test_what_falls_due_while_a_run_waits_for_a_worker_is_left_out(client: Client) -> None:
    await made(client, RETENTION)
    handle = client.get_schedule_handle(RETENTION)

    async def one_waits() -> bool:
        return len((await handle.describe()).info.running_actions) == 1

    async def one_is_left_out() -> bool:
        return (await handle.describe()).info.num_actions_skipped_overlap > 0

    await handle.trigger()
    await until(one_waits)
    await handle.trigger()  # not sooner: of triggers that come together some count as one
    await until(one_is_left_out)
    assert await one_waits()


async def test_changed_settings_reach_schedules_that_are_there(client: Client) -> None:
    before = await made(client, RETENTION)
    after = await made(client, RETENTION, expiry_every=timedelta(hours=7))
    assert [one.every for one in (*before.spec.intervals, *after.spec.intervals)] == [
        timedelta(hours=1),
        timedelta(hours=7),
    ]


async def test_a_missed_night_is_made_up_for_when_temporal_is_back(client: Client) -> None:
    assert (await made(client, WHOLE_RECONCILIATION)).policy.catchup_window == timedelta(hours=20)
    assert (await made(client, RETENTION)).policy.catchup_window == timedelta(minutes=1)


async def test_retirements_start_at_once_when_somebody_asks_for_one(client: Client) -> None:
    await made(client, RETIREMENT, reservation_sweep_every=timedelta(days=1))
    await start_retirements(client)

    async def one_runs() -> bool:
        description = await client.get_schedule_handle(RETIREMENT).describe()
        return len(description.info.running_actions) == 1

    await until(one_runs)

"""Runs that somebody starts in the Web UI under ids of their own: nobody takes them for the run of a certificate."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from giftcert.health import Health
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflow_starts import (
    CERTIFICATE_WORKFLOW,
    CertificateInput,
    signal_certificate,
    workflow_id,
)
from kafka_ingest.outages import IngestOutages
from kafka_ingest.sweeper import Sweeper
from tests.integration.api.api_client import settings_for
from tests.integration.api.sales import open_stock, with_own_namespace
from tests.waiting import until

pytestmark = pytest.mark.integration
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_a_run_under_another_id_stops_neither_the_sweep_nor_the_reconciliation(
    fresh_database_url: str, tmp_path: Path, temporal_address: str
) -> None:
    """The sweep asked PostgreSQL for a certificate of that name, which is no UUID, and failed for an hour."""
    settings = settings_for(fresh_database_url, tmp_path)
    _, client = await with_own_namespace(settings, temporal_address)
    ours, by_hand = str(uuid4()), ("copy-of-mine", f"certificate-{uuid4()}-copy", "certificate-1")
    for name in (*by_hand, workflow_id(ours)):
        run = await client.start_workflow(
            CERTIFICATE_WORKFLOW, CertificateInput(ours), id=name, task_queue="nobody"
        )
        if name != workflow_id(ours):
            await run.terminate()
    await client.start_workflow(
        CERTIFICATE_WORKFLOW, CertificateInput(ours), id="another-copy", task_queue="nobody"
    )
    runs = CertificateRuns(client)

    async def all_are_listed() -> bool:
        return (await client.count_workflows(f'WorkflowType="{CERTIFICATE_WORKFLOW}"')).count == 5

    await until(all_are_listed)
    assert await runs.ended_since(LONG_AGO) == []
    assert [one.certificate_id async for page in runs.pages() for one in page] == [ours]
    async with open_stock(settings) as stock:
        outages = IngestOutages(database=stock.database, health=Health(), place=("orders", 0, 0))
        sweeper = Sweeper(stock.database, partial(signal_certificate, client), runs, outages, "im")
        assert await sweeper.round() == 0

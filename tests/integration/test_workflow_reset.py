"""A run that somebody resets in the Web UI: the certificate is as it was, nobody hears of it, and its life goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from giftcert.domain.order.messages import OrderMessage
from giftcert.health import Health
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflow_starts import signal_certificate, workflow_id
from kafka_ingest.outages import IngestOutages
from kafka_ingest.sweeper import Sweeper
from tests.folding import fold
from tests.integration.api.api_client import Stock, open_api, settings_for
from tests.integration.api.sales import captured, open_stock, ordered, refunded, with_own_namespace
from tests.waiting import until
from worker import running

pytestmark = pytest.mark.integration
NOTED_BY_A_LOOK = {"version", "decided_at", "timer_at"}
POINTS: dict[str, Callable[[list[int]], int]] = {
    "the order": lambda tasks: tasks[0],
    "the payment": lambda tasks: tasks[-1],
}


@dataclass
class Sold:
    """A sold certificate, led by its workflow."""

    client: Client
    stock: Stock
    certificate_id: str

    def run(self, run_id: str | None = None) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(workflow_id(self.certificate_id), run_id=run_id)

    async def tell(self, message: OrderMessage) -> None:
        """Commit a message and signal, as ingest does."""
        async with self.stock.database.transaction() as connection:
            wakes = await fold(connection, [message], datetime.now(UTC), self.stock.settings.policy)
        for wake in wakes:
            await signal_certificate(self.client, wake)

    async def stored(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The row but for what any look may note, such as the new run's timer, and all events."""
        [row] = await self.stock.rows(
            "SELECT * FROM certificates WHERE certificate_id = :id", id=self.certificate_id
        )
        row = {name: value for name, value in row.items() if name not in NOTED_BY_A_LOOK}
        return row, await self.stock.events(self.certificate_id)

    async def until_status(self, status: str, run_id: str | None = None) -> None:
        async def is_so() -> bool:
            return bool(await self.run(run_id).query("status") == status)

        await until(is_so)

    async def reset_to(self, point: Callable[[list[int]], int]) -> str:
        """Reset the run to one of its workflow tasks; return the id of the new run."""
        done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        history = await self.run().fetch_history()
        tasks = [event.event_id for event in history.events if event.event_type == done]
        assert len(tasks) >= 2
        answer = await self.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id(self.certificate_id)),
                reason="somebody pressed Reset",
                workflow_task_finish_event_id=point(tasks),
                request_id=uuid4().hex,
            )
        )
        return answer.run_id

    async def sweep(self) -> None:
        """Sweep as ingest does, once the terminated run is listed."""
        runs = CertificateRuns(self.client)

        async def is_listed() -> bool:
            return await runs.ended_since(datetime(2020, 1, 1, tzinfo=UTC)) != []

        await until(is_listed)
        database = self.stock.database
        outages = IngestOutages(database=database, health=Health(), place=("orders", 0, 0))
        assert (
            await Sweeper(database, partial(signal_certificate, self.client), runs, outages, "im").round() > 0
        )


@pytest.mark.parametrize("point", POINTS)
async def test_a_reset_run_changes_nothing_and_leads_the_certificate_on(
    fresh_database_url: str, tmp_path: Path, temporal_address: str, point: str
) -> None:
    settings = settings_for(fresh_database_url, tmp_path)
    settings, client = await with_own_namespace(settings, temporal_address)
    async with open_stock(settings) as stock, open_api(settings) as api, running(settings):
        await stock.fill(1)
        claim = (await api.next()).json()
        sold = Sold(client, stock, claim["certificateId"])
        await sold.tell(ordered("IM-1", claim))
        await sold.until_status("ordered")
        await sold.tell(captured("IM-1"))
        await sold.until_status("issued")
        before = await sold.stored()

        run_id = await sold.reset_to(POINTS[point])
        await sold.until_status("issued", run_id)
        await sold.sweep()
        assert await sold.stored() == before
        assert (await sold.run().describe()).run_id == run_id

        await sold.tell(refunded("IM-1"))
        assert await sold.run(run_id).result() == "refunded: nothing is open"
        row, events = await sold.stored()
        assert (row["status"], events[-1]["event_type"]) == ("refunded", "refund.completed")
        assert (await sold.run(run_id).describe()).status == WorkflowExecutionStatus.COMPLETED

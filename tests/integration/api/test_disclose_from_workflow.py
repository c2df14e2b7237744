"""The sealed secrets come from the workflow where it answers: with the real Temporal, worker and workflow."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle

from giftcert.settings import Settings
from giftcert.temporal.workflow_starts import signal_certificate
from tests.folding import fold
from tests.integration.api.api_client import Stock, open_api
from tests.integration.api.sales import Till, captured, ordered, orders_of, with_own_namespace
from tests.waiting import until
from worker import running

pytestmark = pytest.mark.integration


@pytest.fixture
async def with_temporal(settings: Settings, temporal_address: str) -> tuple[Settings, Client]:
    """Settings of a namespace of its own, and a client of it."""
    patient = settings.model_copy(update={"query_timeout": settings.unpaid_after_void})
    return await with_own_namespace(patient, temporal_address)


async def sell(stock: Stock, client: Client, claim: dict[str, str]) -> None:
    """Commit order and payment, and signal, as ingest does."""
    for message in (ordered("IM-1", claim), captured("IM-1")):
        async with stock.database.transaction() as connection:
            wakes = await fold(connection, [message], datetime.now(UTC), stock.settings.policy)
        for wake in wakes:
            await signal_certificate(client, wake)


async def test_number_and_cvc_come_from_the_workflow_of_an_issued_certificate(
    with_temporal: tuple[Settings, Client], stock: Stock
) -> None:
    settings, client = with_temporal
    await stock.fill(1)
    why = {"purpose": "notification", "notificationId": str(uuid4())}
    async with open_api(settings) as api, running(settings):
        claim = (await api.next()).json()
        path = f"/certificates/{claim['certificateId']}"
        await sell(stock, client, claim)

        async def issued() -> bool:
            return bool((await api.as_role("crm", path)).json()["status"] == "issued")

        await until(issued)
        view = (await api.as_role("crm", path)).json()
        reply = await api.as_role("crm", f"{path}/cvc", **why)
    assert reply.status_code == 200
    assert reply.headers["sealed-secrets-from"] == "workflow"
    assert view["order"]["orderId"] == "IM-1"
    assert view["balance"] == {"amount": 500_000, "currency": "RUB"}
    types = [event["eventType"] for event in view["history"]]
    assert types == ["issue.reserved", "issue.ordered", "issue.completed", "notification.requested"]


async def test_support_sees_a_block_in_the_workflow_soon_after(
    with_temporal: tuple[Settings, Client], stock: Stock
) -> None:
    settings, client = with_temporal
    await stock.fill(1)
    async with open_api(settings) as api, running(settings):
        claim = (await api.next()).json()
        await sell(stock, client, claim)
        handle = client.get_workflow_handle(f"certificate-{claim['certificateId']}")
        await until(lambda: _status(handle, "issued"))
        headers = api.headers("support")
        path = f"/certificates/{claim['certificateId']}/block"
        assert (await api.client.post(path, json={"reason": "stolen"}, headers=headers)).status_code == 200
        await until(lambda: _status(handle, "blocked"))


async def _status(handle: WorkflowHandle[Any, Any], status: str) -> bool:
    return bool(await handle.query("status") == status)


async def test_a_certificate_without_a_workflow_is_disclosed_from_storage(
    with_temporal: tuple[Settings, Client], stock: Stock
) -> None:
    async with open_api(with_temporal[0]) as api:
        certificate_id, _ = await Till(api, stock, orders_of(stock)).issued()
        reply = await api.as_role("crm", f"/certificates/{certificate_id}/cvc", purpose="notification")
        ready = await api.client.get("/readyz")
    assert reply.headers["sealed-secrets-from"] == "storage"
    assert ready.json() == {
        "status": "ready",
        "parts": {"database": "ok", "temporal": "ok", "kafka": "not needed here"},
        "reasons": {},
    }

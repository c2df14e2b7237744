"""The sealed secrets come from the workflow where it answers: with the real Temporal, worker and workflow."""

import asyncio

import pytest
from temporalio.client import Client

from giftcert.settings import Settings
from tests.integration.api.calling import Stock, open_api
from tests.integration.api.selling import sale_of, tell, with_own_namespace
from worker import running

pytestmark = pytest.mark.integration


@pytest.fixture
async def with_temporal(settings: Settings, temporal_address: str) -> tuple[Settings, Client]:
    """Settings of a namespace of its own, and a client of it."""
    patient = settings.model_copy(update={"query_timeout": settings.unpaid_after_void})
    return await with_own_namespace(patient, temporal_address)


async def test_number_and_cvc_come_from_the_workflow_of_an_issued_certificate(
    with_temporal: tuple[Settings, Client], stock: Stock
) -> None:
    settings, client = with_temporal
    await stock.fill(1)
    why = {"purpose": "notification", "notificationId": "N-1"}
    async with open_api(settings) as api, running(settings):
        claim = (await api.next()).json()
        path = f"/certificates/{claim['certificateId']}"
        await tell(client, claim["certificateId"], *sale_of(claim))
        while (view := (await api.as_role("crm", path)).json())["status"] != "issued":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        reply = await api.as_role("crm", f"{path}/cvc", **why)
    assert reply.status_code == 200
    assert reply.headers["sealed-secrets-from"] == "workflow"
    assert view["order"]["orderId"] == "IM-1"
    assert view["balance"] == {"amount": 500_000, "currency": "RUB"}
    types = [event["eventType"] for event in view["history"]]
    assert types == ["issue.reserved", "issue.ordered", "issue.completed", "notification.requested"]


async def test_a_certificate_without_a_workflow_is_disclosed_from_storage(
    with_temporal: tuple[Settings, Client], stock: Stock
) -> None:
    await stock.fill(1)
    certificate_id = await stock.make("issued")
    async with open_api(with_temporal[0]) as api:
        reply = await api.as_role("crm", f"/certificates/{certificate_id}/cvc", purpose="notification")
        ready = await api.client.get("/readyz")
    assert reply.headers["sealed-secrets-from"] == "storage"
    assert ready.json() == {
        "status": "ready",
        "parts": {"database": "ok", "temporal": "ok", "kafka": "not needed here"},
    }

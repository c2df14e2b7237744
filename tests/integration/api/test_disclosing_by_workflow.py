"""The sealed secrets come from the workflow where it answers: with the real Temporal, worker and workflow."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from temporalio.client import Client

from activities.temporal_client import connect
from giftcert.cli.namespace import ensure_namespace
from giftcert.domain.messages import Line, Message, OrderStated, OwnLine, PaymentCaptured
from giftcert.settings import Settings
from tests.integration.api.calling import Stock, open_api
from worker import running
from workflows.certificate import CertificateWorkflow
from workflows.names import signal_of, task_queue, workflow_id
from workflows.run_input import CertificateInput

pytestmark = pytest.mark.integration


@pytest.fixture
async def with_temporal(settings: Settings, temporal_address: str) -> tuple[Settings, Client]:
    """Settings of a namespace of its own, and a client of it."""
    own = {"temporal_address": temporal_address, "temporal_namespace": f"api-{uuid4().hex[:12]}"}
    settings = settings.model_copy(update=own | {"query_timeout": settings.unpaid_after_void})
    client = await connect(settings)
    await ensure_namespace(client)
    return settings, client


async def tell(client: Client, certificate_id: str, *messages: Message) -> None:
    for message in messages:
        await client.start_workflow(
            CertificateWorkflow.run,
            CertificateInput(certificate_id=certificate_id),
            id=workflow_id(certificate_id),
            task_queue=task_queue("im"),
            start_signal=signal_of(message),
            start_signal_args=[message],
        )


def sale_of(claim: dict[str, str]) -> tuple[Message, ...]:
    common = {
        "cause": None,
        "occurred_at": datetime.now(UTC),
        "channel": "im",
        "order_id": "IM-1",
        "currency": "RUB",
    }
    ordered = OrderStated(
        **common,
        key="o-1",
        order_version=1,
        customer_id="C-1",
        total=500_000,
        lines=(Line("1", Line.GIFT_CERTIFICATE, 500_000),),
        own=OwnLine("1", 500_000, reservation_id=claim["reservationId"]),
    )
    captured = PaymentCaptured(
        **common, key="p-1", payment_id="P-1", capture_id=None, tender="card", amount=500_000
    )
    return ordered, captured


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

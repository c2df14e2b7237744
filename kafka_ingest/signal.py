"""One signal to one certificate's workflow, which is started where it does not run."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from giftcert.contracts.codec import decode_message
from giftcert.domain.messages import Message, OrderStated
from giftcert.domain.state import Status
from giftcert.storage.deliveries import UnsentDelivery
from kafka_ingest import metrics
from workflows import search_attributes as sa
from workflows.names import CERTIFICATE_WORKFLOW, signal_of, task_queue, workflow_id
from workflows.run_input import CertificateInput

RPC_LIMIT = timedelta(seconds=10)


class Signal:
    """Signals through one connection to Temporal."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, delivery: UnsentDelivery) -> None:
        """Deliver a message. A certificate that was told something before most likely has a workflow.

        Raises:
            temporalio.service.RPCError: Temporal is away or refuses.
        """
        message = decode_message(delivery.message)
        if delivery.follows and await self._is_taken_by_running(delivery.certificate_id, message):
            metrics.SIGNALS.labels("signal").inc()
            return
        await self._start_with(delivery, message)
        metrics.SIGNALS.labels("signalWithStart").inc()

    async def _is_taken_by_running(self, certificate_id: str, message: Message) -> bool:
        handle = self._client.get_workflow_handle(workflow_id(certificate_id))
        try:
            await handle.signal(signal_of(message), message, rpc_timeout=RPC_LIMIT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    async def _start_with(self, delivery: UnsentDelivery, message: Message) -> None:
        order_id = getattr(message, "order_id", None)
        await self._client.start_workflow(
            CERTIFICATE_WORKFLOW,
            CertificateInput(certificate_id=delivery.certificate_id),
            id=workflow_id(delivery.certificate_id),
            task_queue=task_queue(delivery.channel),
            start_signal=signal_of(message),
            start_signal_args=[message],
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(_search_attributes(delivery, message)),
            static_summary=f"Gift certificate {delivery.product or ''}, order {order_id or 'unknown yet'}",
            static_details=_details(delivery, order_id),
            rpc_timeout=RPC_LIMIT,
        )


def _search_attributes(delivery: UnsentDelivery, message: Message) -> list[SearchAttributePair[str]]:
    """What support filters by, as far as it is known before the workflow has decided anything."""
    order_id = getattr(message, "order_id", None)
    names_it = isinstance(message, OrderStated) and message.own is not None
    values = {
        sa.CHANNEL: delivery.channel,
        sa.PRODUCT: delivery.product,
        sa.ORDER_ID: order_id if names_it else None,
        sa.CERTIFICATE_STATUS: Status.ORDERED.value if names_it else None,
    }
    return [SearchAttributePair(key, value) for key, value in values.items() if value is not None]


def _details(delivery: UnsentDelivery, order_id: str | None) -> str:
    """Return in plain words, for the Web UI, what this workflow is about."""
    sold = f" sold by channel {delivery.channel}"
    order = f" under order {order_id}" if order_id else ""
    return (
        f"Leads gift certificate {delivery.certificate_id}{sold}{order}. It waits for messages of the order and its"
        " payments, and ends when the certificate is back in the pool or finished."
    )

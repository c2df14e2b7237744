"""Workflow ids, task queues and start options, and the one way to signal a certificate's workflow."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from temporalio.client import Client, WorkflowExecution
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from giftcert.temporal.search_attributes import ALL, ORDER_ID, PRODUCT, Visibility, pairs
from giftcert.temporal.signals import Signal, Wake, Woken
from giftcert.temporal.web_ui import brief, unrevealing

CERTIFICATE_WORKFLOW = "CertificateWorkflow"
MAINTENANCE = ("BatchWorkflow", "ReconciliationWorkflow")
MAINTENANCE_QUEUE = "maintenance"
RPC_LIMIT = timedelta(seconds=10)
WAKES_LIMIT_SECONDS = 1.0
_LOG = structlog.get_logger(__name__)
_ID_PREFIX = "certificate-"
_OWN_ID = re.compile(_ID_PREFIX + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class CertificateInput:
    """Input of a certificate's workflow; a field added later has a default."""

    certificate_id: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What to verify: a sample of so many certificates, or everything (``None``)."""

    sample: int | None = None


def workflow_id(certificate_id: str) -> str:
    """Return the id of the workflow that leads a certificate; there is one open run at most."""
    return f"{_ID_PREFIX}{certificate_id}"


def certificate_of(workflow_id: str) -> str | None:
    """Return the certificate that the workflow with this id leads; ``None``: somebody else chose the id."""
    certificate_id = workflow_id.removeprefix(_ID_PREFIX)
    return certificate_id if _OWN_ID.fullmatch(workflow_id) else None


def task_queue(channel: str) -> str:
    """Return the task queue on which certificates sold by a channel run, so that channels scale apart."""
    return f"certificates-{channel}"


async def signal_certificate(client: Client, wake: Wake) -> bool:
    """Signal a certificate's workflow, or start it with the signal; return whether it may have been started.

    An order's first message most likely meets none, so it starts and signals in one call. Where Temporal is away
    ``RPCError`` is raised, and the sweep signals later.
    """
    cause, order_id = unrevealing(wake.cause), unrevealing(wake.order_id)
    argument = Woken(cause, order_id)
    if wake.signal is not Signal.ORDER_CREATED:
        handle = client.get_workflow_handle(workflow_id(wake.certificate_id))
        try:
            await handle.signal(wake.signal, argument, rpc_timeout=RPC_LIMIT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        else:
            return False
    await client.start_workflow(
        CERTIFICATE_WORKFLOW,
        CertificateInput(wake.certificate_id),
        id=workflow_id(wake.certificate_id),
        task_queue=task_queue(wake.channel),
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=pairs(Visibility(channel=wake.channel, product=wake.product, order_id=order_id)),
        start_signal=wake.signal,
        start_signal_args=[argument],
        static_summary=_summary(wake.product, order_id),
        rpc_timeout=RPC_LIMIT,
    )
    return True


async def replace_run(client: Client, execution: WorkflowExecution) -> None:
    """End a certificate's run and start another in one step: it holds nothing, and the new one looks at once.

    What support filters by is kept; a first look brings it up to date.
    """
    certificate_id, attributes = certificate_of(execution.id), execution.typed_search_attributes
    if certificate_id is None:
        raise ValueError(f"{execution.id} leads no certificate")
    await client.start_workflow(
        CERTIFICATE_WORKFLOW,
        CertificateInput(certificate_id),
        id=execution.id,
        task_queue=execution.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        search_attributes=TypedSearchAttributes([one for one in attributes if one.key in ALL]),
        static_summary=_summary(attributes.get(PRODUCT), attributes.get(ORDER_ID)),
        rpc_timeout=RPC_LIMIT,
    )


def _summary(product: str | None, order_id: str | None) -> str:
    return " · ".join(filter(None, (product, order_id and brief(order_id))))


async def send_wakes(client: Client, wakes: Iterable[Wake]) -> None:
    """Signal at once all whom a commit concerns; what cannot be sent in a second is left to the sweep."""
    try:
        async with asyncio.timeout(WAKES_LIMIT_SECONDS):
            sent = await asyncio.gather(
                *(signal_certificate(client, wake) for wake in wakes), return_exceptions=True
            )
    except TimeoutError as error:
        sent = [error]
    lost = [one for one in sent if isinstance(one, BaseException)]
    if lost:
        _LOG.warning("signals left to the sweep", error=type(lost[0]).__name__)

"""The worker deployment: which build of the code leads the certificates, and how a new one takes over."""

import asyncio
import os
from importlib.metadata import PackageNotFoundError, version

import structlog
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import WorkerDeploymentConfig

DEPLOYMENT = "giftcert"
LOOK_AGAIN_SECONDS = 1.0
_LOG = structlog.get_logger(__name__)


def build_id() -> str:
    """Return the id of this build."""
    try:
        return os.environ.get("GIFTCERT_BUILD_ID") or version("giftcert")
    except PackageNotFoundError:
        return "source"


def deployment_config() -> WorkerDeploymentConfig:
    """Return the versioning of a worker: a certificate sleeps for a year, so it moves to each new build."""
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id()),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def promote(client: Client) -> None:
    """Make this build the current version, once its workers poll every task queue that the present one serves.

    A build that was current before stays as it is: a worker that starts again undoes neither a rollback nor a release
    that is under way.
    """
    while True:
        try:
            if not await _was_current(client):
                await client.workflow_service.set_worker_deployment_current_version(
                    SetWorkerDeploymentCurrentVersionRequest(
                        namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build_id()
                    )
                )
                _LOG.info("this build leads the certificates from now on", build=build_id())
        except RPCError as error:  # not polled yet, or Temporal is away
            _LOG.info("this build does not lead yet", build=build_id(), reason=error.message)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        else:
            return


async def _was_current(client: Client) -> bool:
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    answer = await client.workflow_service.describe_worker_deployment(request)
    return any(
        known.deployment_version.build_id == build_id() and known.HasField("last_current_time")
        for known in answer.worker_deployment_info.version_summaries
    )

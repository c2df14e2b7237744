"""The Temporal namespace and its search attributes."""

import asyncio
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from giftcert.temporal import search_attributes

# How long finished runs stay visible; the state of a certificate is in PostgreSQL, not in them.
_RETENTION = timedelta(days=30)
_PATIENCE_SECONDS = 30


async def ensure_namespace(client: Client) -> list[str]:
    """Make the client's namespace and the search attributes where they are missing.

    Returns:
        What was done, a line each.

    Raises:
        RPCError: Temporal does not answer or refuses.
    """
    done = []
    if await _register(client):
        done.append(f"namespace {client.namespace} made")
    missing = await _missing_attributes(client)
    if missing:
        request = AddSearchAttributesRequest(namespace=client.namespace)
        for name in missing:
            request.search_attributes[name] = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(request)
        done.append(f"search attributes {', '.join(missing)} made")
    await _until_known(client)
    return done


async def _register(client: Client) -> bool:
    retention = Duration()
    retention.FromTimedelta(_RETENTION)
    request = RegisterNamespaceRequest(
        namespace=client.namespace,
        description="Gift certificates",
        workflow_execution_retention_period=retention,
    )
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            return False
        raise
    return True


async def _missing_attributes(client: Client) -> list[str]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    answer = await client.operator_service.list_search_attributes(request)
    return [key.name for key in search_attributes.ALL if key.name not in answer.custom_attributes]


async def _until_known(client: Client) -> None:
    """Wait until the frontend has taken note of a namespace and of attributes that were just made."""
    query = " OR ".join(f'{key.name} = "x"' for key in search_attributes.ALL)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            try:
                await client.count_workflows(query)
            except RPCError as error:
                if error.status not in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
                    raise
                await asyncio.sleep(0.2)
                continue
            return

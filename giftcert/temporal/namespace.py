"""The Temporal namespace and its search attributes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from giftcert.temporal import search_attributes

T = TypeVar("T")
# How long finished runs stay visible; the state of a certificate is in PostgreSQL, not in them.
_RETENTION = Duration(seconds=30 * 86_400)
_PATIENCE_SECONDS = 30


async def ensure_namespace(client: Client) -> list[str]:
    """Make the client's namespace and the search attributes where they are missing; return what was done."""
    done = [f"namespace {client.namespace} made"] if await _register(client) else []
    request = ListSearchAttributesRequest(namespace=client.namespace)
    listed = await _once_known(lambda: client.operator_service.list_search_attributes(request))
    missing = {
        key.name: IndexedValueType.ValueType(key.indexed_value_type.value)
        for key in search_attributes.ALL
        if key.name not in listed.custom_attributes
    }
    if missing:
        added = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        await _once_known(lambda: client.operator_service.add_search_attributes(added))
        done.append(f"search attributes {', '.join(missing)} made")
    query = " OR ".join(f"{key.name} IS NULL" for key in search_attributes.ALL)
    await _once_known(lambda: client.count_workflows(query))
    return done


async def _register(client: Client) -> bool:
    request = RegisterNamespaceRequest(
        namespace=client.namespace,
        description="Gift certificates",
        workflow_execution_retention_period=_RETENTION,
    )
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status == RPCStatusCode.ALREADY_EXISTS:
            return False
        raise
    return True


async def _once_known(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the frontend has taken note of a namespace and of attributes that were just made.

    For some seconds it also remembers that it was asked for a namespace that there was not, as by ``setup --check``.
    """
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            try:
                return await ask()
            except RPCError as error:
                if error.status not in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
                    raise
            await asyncio.sleep(0.2)

"""What ``giftcert setup`` makes in Temporal: namespace, search attributes, schedules."""

from collections.abc import Mapping, Sequence
from typing import cast

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow
from temporalio.service import RPCError, RPCStatusCode

from giftcert.health import TEMPORAL
from giftcert.requirements.finding import Finding, Maker
from giftcert.settings import Settings
from giftcert.temporal import search_attributes
from giftcert.temporal.schedules import schedules
from giftcert.temporal.workflow_starts import RPC_LIMIT

_DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED)
"""Of the operator service, which managed clusters keep to themselves."""


async def check_temporal_objects(client: Client, settings: Settings) -> list[Finding]:
    """Compare the namespace with what is needed; raises ``RPCError`` and ``RuntimeError``."""
    try:
        return [*await _attributes(client), *await _schedules(client, settings)]
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    subject = f"namespace {client.namespace}"
    return [Finding(TEMPORAL, subject, "is missing", Maker.SETUP, stops=True)]


async def _attributes(client: Client) -> list[Finding]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        listed = await client.operator_service.list_search_attributes(request, timeout=RPC_LIMIT)
    except RPCError as error:
        if error.status in _DENIED:
            return []
        raise
    found = []
    for key in search_attributes.ALL:
        subject, kind = f"search attribute {key.name}", listed.custom_attributes.get(key.name)
        if kind is None:
            found.append(Finding(TEMPORAL, subject, "is missing", Maker.SETUP, stops=True))
        elif kind != key.indexed_value_type.value:
            wrong = (
                f"is of the type {IndexedValueType.Name(kind).removeprefix('INDEXED_VALUE_TYPE_').lower()}"
            )
            found.append(Finding(TEMPORAL, subject, wrong, Maker.TEMPORAL, stops=True))
    return found


async def _schedules(client: Client, settings: Settings) -> list[Finding]:
    found = []
    for name, wanted in schedules(settings).items():
        subject = f"schedule {name}"
        try:
            actual = await client.get_schedule_handle(name).describe(rpc_timeout=RPC_LIMIT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or "namespace" in error.message.lower():
                raise
            found.append(Finding(TEMPORAL, subject, "is missing", Maker.SETUP, stops=True))
            continue
        if actual.schedule.state.paused:
            found.append(Finding(TEMPORAL, subject, "is paused", Maker.TEMPORAL))
        if await _differs(client, actual.schedule, wanted):
            found.append(Finding(TEMPORAL, subject, "is not as the settings want it", Maker.SETUP))
    return found


async def _differs(client: Client, actual: Schedule, wanted: Schedule) -> bool:
    return await _shape(client, actual) != await _shape(client, wanted)


async def _shape(client: Client, schedule: Schedule) -> tuple[object, ...]:
    """Return what we set of a schedule, as the server gives it back."""
    action = cast("ScheduleActionStartWorkflow", schedule.action)  # there is no other kind
    given = [one for one in action.args if not hasattr(one, "metadata")]
    payloads = list(await client.data_converter.encode(given)) if given else list(action.args)
    arguments = await client.data_converter.decode(payloads) if payloads else []
    every = sorted(one.every for one in schedule.spec.intervals)
    hours = [hour.start for one in schedule.spec.calendars for hour in one.hour]
    return action.workflow, action.task_queue, _plain(arguments), every, hours


def _plain(arguments: Sequence[object]) -> list[object]:
    """Leave out what is null, as fields with defaults may be."""
    return [
        {key: value for key, value in one.items() if value is not None} if isinstance(one, Mapping) else one
        for one in arguments
    ]

"""A time-skipping Temporal, a real PostgreSQL, and one worker per test."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from giftcert.temporal import search_attributes
from giftcert.temporal.data_converter import DATA_CONVERTER


@pytest.fixture
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    server = Path(sys.executable).parent / "temporal-test-server"  # of the requirements
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server), data_converter=DATA_CONVERTER, identity="test-client"
    ) as started:
        await started.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                search_attributes={
                    key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in search_attributes.ALL
                }
            )
        )
        yield started

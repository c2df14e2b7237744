"""Health of whole processes on real servers, one of which hangs: connected, and without an answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

import worker
from giftcert.dispatch import main as dispatch
from giftcert.requirements import watch
from giftcert.settings import Settings
from giftcert.temporal.schedules import ensure_schedules
from tests.cuttable import cuttable
from tests.integration.api.api_client import settings_for
from tests.integration.api.sales import with_own_namespace
from tests.integration.dispatch.conftest import new_topic
from tests.processes import free_port, promised
from tests.waiting import until

pytestmark = pytest.mark.integration


@asynccontextmanager
async def served(work: Any) -> AsyncIterator[None]:
    """Run a process as a task."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def reasons(settings: Settings) -> dict[str, str] | None:
    """Return why a process is not ready; ``None``: it serves nothing yet."""
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{settings.metrics_port}/readyz")
        except httpx.TransportError:
            return None
    assert answer.is_success == (not answer.json()["reasons"])
    found: dict[str, str] = answer.json()["reasons"]
    return found


@pytest.mark.parametrize("part", ["worker", "dispatch"])
async def test_a_process_is_not_ready_while_postgresql_hangs_and_need_not_be_started_anew(
    part: str, fresh_database_url: str, temporal_address: str, kafka: str, tmp_path: Path
) -> None:
    async with cuttable(fresh_database_url) as (way, url):
        given = settings_for(fresh_database_url, tmp_path, kafka_bootstrap_servers=kafka)
        settings, client = await with_own_namespace(given, temporal_address)
        await ensure_schedules(client, settings)
        stream = await new_topic(kafka)
        own = {"database_url": SecretStr(url), "metrics_port": free_port(), "topic_stream": stream}
        settings = settings.model_copy(update=own)
        serve = worker.serve if part == "worker" else dispatch.serve

        async def ready() -> bool:
            return await reasons(settings) == {}

        async def waits_for_postgresql() -> bool:
            return "PostgreSQL" in (await reasons(settings) or {})

        async with served(serve(settings)), httpx.AsyncClient() as caller:
            await until(ready)
            way.hang()
            began = time.monotonic()
            await until(waits_for_postgresql)
            assert promised(10, began)
            living = await caller.get(f"http://127.0.0.1:{settings.metrics_port}/livez")
            assert living.json() == {"status": "alive", "reasons": {}}
            way.flow()
            await until(ready)


async def test_dispatch_is_not_ready_until_its_topic_is_there_and_says_whose_it_is(
    fresh_database_url: str, kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "UNTIL_THERE_SECONDS", 0.1)
    stream = f"later-{uuid4().hex[:8]}"
    own = {"kafka_bootstrap_servers": kafka, "metrics_port": free_port(), "topic_stream": stream}
    settings = settings_for(fresh_database_url, tmp_path, **own)

    async def lacks_its_topic() -> bool:
        return (await reasons(settings) or {}) == {
            f"topic {stream}": "is missing, or hidden from this user: giftcert setup"
        }

    async def ready() -> bool:
        return await reasons(settings) == {}

    async with served(dispatch.serve(settings)):
        await until(lacks_its_topic)
        await new_topic(kafka, stream)
        await until(ready)

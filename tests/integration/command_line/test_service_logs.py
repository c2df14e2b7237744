"""What the processes of the service log while their servers are away and come back."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers_elsewhere import ISSUER, sell_one, topics_of_others
from stacks import Stack

from giftcert.logs import ORDER
from tests.cuttable import cuttable
from tests.integration.command_line.conftest import as_variables
from tests.state_folders import new_state_folder
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
PROCESSES = ("api", "ingest", "worker", "dispatch")
AWAY_SECONDS = 3
"""Of all servers; before, aiokafka alone wrote about a hundred lines in each process."""
MOST_LINES = 60
"""Of a process in its whole life, but for requests."""


@pytest.fixture
async def stack_that_lost_its_servers(
    own_keys: dict[str, str],
    clean_environment: dict[str, str],
    fresh_database_url: str,
    temporal_address: str,
    kafka: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Path]:
    """The folder of a stack that sold, lost all servers for a while, sold again and has ended."""
    folder = new_state_folder("test")
    servers = {
        "database_url": fresh_database_url,
        "temporal_address": temporal_address,
        "kafka_bootstrap_servers": kafka,
    }
    topics = await topics_of_others(kafka)
    async with AsyncExitStack() as opened:
        ways, settings = [], {**topics, **own_keys, "jwt_issuer": ISSUER, "embedded_pool": "5"}
        for name, address in servers.items():
            way, settings[name] = await opened.enter_async_context(cuttable(address))
            ways.append(way)
        environment = clean_environment | as_variables(settings)
        stack = await asyncio.to_thread(Stack, folder, environment)
        try:
            await sell_one(stack, kafka, settings, own_keys, monkeypatch)
            for way in ways:
                way.cut()
            await asyncio.sleep(AWAY_SECONDS)
            for way in ways:
                way.mend()
            await until(lambda: all_ready(stack))
            await sell_one(stack, kafka, settings, own_keys, monkeypatch, order_id="POS-2")
            assert await asyncio.to_thread(stack.end) == 0
        finally:
            await asyncio.to_thread(stack.close)
    yield folder
    shutil.rmtree(folder)


async def all_ready(stack: Stack) -> bool:
    async with httpx.AsyncClient() as client:
        urls = [url.replace("/metrics", "/healthz") for url in stack.addresses["metricsUrls"].values()]
        return all([(await client.get(url)).is_success for url in urls])


def lines_of(folder: Path, process: str) -> list[dict[str, Any]]:
    text = (folder / "logs" / f"{process}.log").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


async def test_all_lines_are_json_with_the_same_keys_and_few_say_that_servers_are_away(
    stack_that_lost_its_servers: Path,
) -> None:
    for process in PROCESSES:
        lines = lines_of(stack_that_lost_its_servers, process)
        assert {(*list(line)[: len(ORDER)], line["process"]) for line in lines} == {(*ORDER, process)}
        said = Counter((line["logger"], line["event"]) for line in lines if line["event"] != "request")
        assert said.total() <= MOST_LINES, said
    ingest = lines_of(stack_that_lost_its_servers, "ingest")
    waits = [line["part"] for line in ingest if line["event"] == "waits"]
    again = {line["part"]: line for line in ingest if line["event"] == "works again"}
    assert len(waits) == len(set(waits)) > 1, "one line for each part"
    assert set(waits) <= again.keys()
    assert all(again[part]["failures"] > 0 and again[part]["seconds"] > 0 for part in waits)

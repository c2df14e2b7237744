"""``giftcert up``: one command starts everything and keeps it running."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from command_runs import RunCommand
from stacks import Stack

from tests.processes import PATIENCE_SECONDS, holds
from tests.state_folders import new_state_folder
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
DOORS = ("api", "ingest", "worker", "dispatch")
SERVERS = ("postgres", "temporal", "kafka")


@pytest.fixture(scope="module")
def stack(clean_environment: dict[str, str]) -> Iterator[Stack]:
    """A stack that the tests of this module share: they may kill its parts, which come back, and not end it."""
    folder = new_state_folder("test")
    shared = Stack(folder, {**clean_environment, "GIFTCERT_EMBEDDED_POOL": "20"})
    yield shared
    shared.close()
    shutil.rmtree(folder)


async def answer(*urls: str) -> None:
    """Wait until each answers; a door may just be coming back because another test killed a server."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client, asyncio.timeout(PATIENCE_SECONDS):
        for url in urls:
            await until(partial(is_answered, client, url))


async def is_answered(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


async def test_everything_starts_and_answers(stack: Stack, giftcert: RunCommand) -> None:
    await holds(lambda: all(stack.said(part, "ready") for part in (*SERVERS, *DOORS)))  # read by a thread
    await answer(f"{stack.addresses['apiUrl']}/healthz", *stack.addresses["metricsUrls"].values())
    counted = giftcert("pool", "status", "--json", state_dir=str(stack.state_dir))
    assert certificates(json.loads(counted.stdout)) == 20


def certificates(pool: list[dict[str, Any]]) -> int:
    """All of the product, whatever other tests have sold of it meanwhile."""
    return sum({one["product"]: one["statuses"] for one in pool}["GC-5000"].values())


async def ready(giftcert: RunCommand, **at: str) -> dict[str, Any]:
    """The status, once all is ready: another test may just have killed a part."""
    said: dict[str, Any] = {}

    def is_ready() -> bool:
        said.update(json.loads(giftcert("status", "--json", **at).stdout))
        return bool(said["ready"])

    await holds(is_ready)
    return said


async def test_the_status_shows_parts_lag_pool_refunds_and_quarantine(
    stack: Stack, giftcert: RunCommand
) -> None:
    at = {"state_dir": str(stack.state_dir)}
    said = await ready(giftcert, **at)
    assert {one["part"]: one["state"] for one in said["parts"]} == dict.fromkeys(
        (*SERVERS, "web-ui", *DOORS), "ready"
    )
    addresses = {one["part"]: one["address"] for one in said["parts"]}
    assert addresses["api"] == stack.addresses["apiUrl"]
    assert "@" not in addresses["postgres"]
    process_ids = {part: process.pid for part, process in stack.parts().items()}
    assert {
        one["part"]: one["processId"] for one in said["parts"] if one["processId"]
    }.items() <= process_ids.items()
    assert said["lag"].keys() == {"All_SalesOrder", "All_Payments", "All_Clients"}
    assert certificates(said["pool"]) == 20
    assert (said["ready"], said["openRefunds"], said["quarantine"]) == (True, [], [])
    for width in (80, 120):
        done = giftcert("status", variables={"COLUMNS": str(width)}, **at)
        assert (done.returncode, stack.addresses["apiUrl"] in done.stdout) == (0, True)
        assert [line for line in done.stdout.splitlines() if len(line) > width] == []
        assert "part      state  process  address" in done.stdout


async def test_commands_and_simulators_find_the_stack_whatever_its_ports(
    stack: Stack, giftcert: RunCommand, clean_environment: dict[str, str]
) -> None:
    at = {"state_dir": str(stack.state_dir)}
    await ready(giftcert, **at)
    assert giftcert("addresses", "api", **at).stdout == f"{stack.addresses['apiUrl']}\n"
    refused = giftcert("token", "--role", "channel", "--channel", "kiosk", **at)
    assert refused.stderr == "giftcert: there is no channel kiosk; there are im, pos\n"
    environment = {**clean_environment, "GIFTCERT_STATE_DIR": str(stack.state_dir)}
    selling = [sys.executable, "-m", "simulators.pos", "--count", "1"]
    sold = await asyncio.to_thread(
        subprocess.run, selling, env=environment, capture_output=True, text=True, check=False
    )
    assert (sold.returncode, sold.stdout.count(": certificate ")) == (0, 1), sold.stderr


async def test_a_second_stack_on_the_same_state_is_refused(stack: Stack, giftcert: RunCommand) -> None:
    second = giftcert("up", "--ports", "auto", state_dir=str(stack.state_dir))
    assert second.returncode == 1
    assert "running" in second.stderr
    assert second.stderr.count("\n") == 1
    await answer(f"{stack.addresses['apiUrl']}/healthz")


@pytest.mark.parametrize("part", [*DOORS, *SERVERS])
async def test_a_part_that_is_killed_is_reported_and_comes_back(stack: Stack, part: str) -> None:
    before = sum(stack.reports_of(part, "ready"))
    stack.parts()[part].kill()
    await holds(lambda: stack.said(part, "was killed by SIGKILL; starting it again"))
    await holds(lambda: sum(stack.reports_of(part, "ready")) == before + 1)

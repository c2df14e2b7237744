"""However ``giftcert up`` ends, nothing is left of it."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from command_runs import RunCommand
from stacks import END_SECONDS, Stack

from tests.processes import PATIENCE_SECONDS, has_ended, holds, promised

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
StartStack = Callable[[], Stack]


@pytest.fixture
def start_stack(state_dir: Path, clean_environment: dict[str, str]) -> Iterator[StartStack]:
    started: list[Stack] = []

    def start() -> Stack:
        started.append(Stack(state_dir, {**clean_environment, "GIFTCERT_EMBEDDED_POOL": "20"}))
        return started[-1]

    yield start
    for stack in started:
        stack.close()


async def test_parts_that_hang_do_not_hold_up_the_end(start_stack: StartStack) -> None:
    stack = start_stack()
    everything = stack.descendants()
    for part in ("worker", "temporal", "guardian"):
        stack.parts()[part].suspend()
    assert stack.end(signal.SIGTERM) == 0
    assert [process for process in everything if not has_ended(process)] == []


async def test_nothing_is_left_when_up_itself_is_killed_and_the_next_one_starts_and_ends_on_ctrl_c(
    start_stack: StartStack,
) -> None:
    killed = start_stack()
    everything = killed.descendants()
    killed.process.kill()
    killed.process.wait()
    await holds(lambda: all(has_ended(process) for process in everything))
    following = start_stack()
    everything = following.descendants()
    assert following.end(signal.SIGINT) == 0
    assert [process for process in everything if not has_ended(process)] == []


async def test_where_a_part_dies_that_cannot_be_replaced_all_ends_in_one_line(
    state_dir: Path, clean_environment: dict[str, str]
) -> None:
    without_java = {**clean_environment, "PATH": str(state_dir), "GIFTCERT_EMBEDDED_POOL": "5"}
    with closing(Stack(state_dir, without_java)) as stack:
        everything = stack.descendants()
        stack.parts()["kafka"].kill()
        assert stack.process.wait(PATIENCE_SECONDS) == 1
        await holds(lambda: stack.reports[-1] == "giftcert: kafka is gone and cannot be replaced")
    assert [process for process in everything if not has_ended(process)] == []


async def test_a_taken_port_of_the_api_is_named_and_nothing_is_left(
    giftcert: RunCommand, state_dir: Path
) -> None:
    ports = {f"{name}_port": "0" for name in ("postgres", "temporal", "temporal_ui", "kafka")}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = giftcert("up", state_dir=str(state_dir), api_port=str(port), **ports)
    assert done.returncode == 1
    assert f"giftcert: port {port} is taken: set GIFTCERT_API_PORT" in done.stderr
    assert not processes_on(state_dir)


async def test_an_external_server_that_is_not_there_is_named(
    giftcert: RunCommand, own_keys: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
    done = giftcert("up", "--ports", "auto", temporal_address=nowhere, **own_keys)
    assert done.returncode == 1
    assert done.stderr == f"giftcert: GIFTCERT_TEMPORAL_ADDRESS: nothing answers at {nowhere}\n"


def processes_on(state_dir: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(state_dir) in argument for argument in process.info["cmdline"] or [])
    ]


def test_ctrl_c_while_everything_still_starts_leaves_nothing(
    state_dir: Path, clean_environment: dict[str, str]
) -> None:
    environment = {**clean_environment, "GIFTCERT_STATE_DIR": str(state_dir)}
    command = Stack.COMMAND
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as up:
        assert up.stderr is not None
        up.stderr.readline()  # the first part is ready, the others are not
        began = time.monotonic()
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE_SECONDS) == 0
        assert promised(END_SECONDS, began)
    assert not processes_on(state_dir)

"""No process outlives its supervisor, however that ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from stand_ins import Reports

from giftcert.embedded.addresses import Addresses, running_addresses
from giftcert.embedded.guardian import PidFile
from giftcert.embedded.stack import EmbeddedStack
from giftcert.settings import Settings
from tests.embedded_environment import ROOT, embedded_environment
from tests.processes import PATIENCE_SECONDS, has_ended, holds

pytestmark = pytest.mark.integration
SUPERVISOR = Path(__file__).with_name("supervisor.py")
StartSupervisor = Callable[..., tuple["subprocess.Popen[str]", dict[str, psutil.Process]]]


@pytest.fixture
def start_supervisor(state_dir: Path) -> Iterator[StartSupervisor]:
    supervisors: list[subprocess.Popen[str]] = []
    started: list[psutil.Process] = []

    def start(*parts: str) -> tuple["subprocess.Popen[str]", dict[str, psutil.Process]]:
        supervisor = subprocess.Popen(
            [sys.executable, str(SUPERVISOR), str(state_dir), *parts],
            env={**embedded_environment(), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        supervisors.append(supervisor)
        assert supervisor.stdout is not None
        with supervisor.stdout as answer:
            pids = json.loads(answer.readline())
        found = {part: psutil.Process(pid) for part, pid in pids.items()}
        started.extend(found.values())
        return supervisor, found

    yield start
    for supervisor in supervisors:
        supervisor.kill()
        supervisor.wait()
    for process in started:
        if process.is_running():
            process.kill()


async def test_parts_end_when_their_supervisor_is_killed_even_one_that_ignores_sigterm(
    start_supervisor: StartSupervisor,
) -> None:
    supervisor, parts = start_supervisor("postgres")
    backends = parts["postgres"].children()
    supervisor.kill()
    supervisor.wait()
    await holds(lambda: all(has_ended(process) for process in [*parts.values(), *backends]))
    assert set(parts) == {"deaf", "guardian", "postgres"}


async def test_a_stack_that_was_killed_is_not_taken_for_a_running_one(
    start_supervisor: StartSupervisor, state_dir: Path
) -> None:
    supervisor, _ = start_supervisor("postgres")
    assert running_addresses(Settings(state_dir=state_dir)).database_url is not None
    supervisor.kill()
    supervisor.wait()
    assert (state_dir / "addresses.json").exists()
    assert running_addresses(Settings(state_dir=state_dir)) == Addresses()


async def test_a_guardian_that_was_killed_is_replaced(start_supervisor: StartSupervisor) -> None:
    supervisor, parts = start_supervisor()
    parts["guardian"].kill()

    def guardians() -> set[int]:
        with suppress(psutil.NoSuchProcess):  # one ends while we look
            children = psutil.Process(supervisor.pid).children()
            return {one.pid for one in children if "giftcert.embedded.guardian" in one.cmdline()}
        return set()

    await holds(lambda: guardians() - {parts["guardian"].pid})


async def test_the_next_stack_ends_what_an_earlier_one_left(
    start_supervisor: StartSupervisor, state_dir: Path, reports: Reports
) -> None:
    supervisor, parts = start_supervisor()
    parts["guardian"].kill()
    supervisor.kill()
    supervisor.wait()
    assert not has_ended(parts["deaf"])
    settings = Settings(state_dir=state_dir)
    async with EmbeddedStack(settings, parts=[], any_free_port=True, report=reports):
        assert has_ended(parts["deaf"])
    assert ("deaf", "ended: an earlier stack had left it behind") in reports.lines


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


async def test_a_process_that_only_has_the_id_of_an_old_part_is_left_alone(
    state_dir: Path, reports: Reports, bystander: "subprocess.Popen[bytes]"
) -> None:
    (state_dir / "run").mkdir()
    earlier = psutil.Process(bystander.pid).create_time() - 3600
    PidFile("worker", bystander.pid, earlier, signal.SIGTERM).save(state_dir / "run")
    async with EmbeddedStack(Settings(state_dir=state_dir), parts=[], report=reports):
        assert bystander.poll() is None
    assert reports.lines == []


async def test_a_supervisor_that_is_told_to_end_leaves_nothing(start_supervisor: StartSupervisor) -> None:
    supervisor, parts = start_supervisor("postgres")
    os.kill(supervisor.pid, signal.SIGINT)
    supervisor.wait(PATIENCE_SECONDS)
    await holds(lambda: all(has_ended(process) for process in (parts["postgres"], parts["guardian"])))

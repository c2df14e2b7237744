"""A test run that is interrupted, even one that is killed, leaves no process and no state behind."""

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.embedded_environment import ROOT, embedded_environment
from tests.processes import has_ended, holds

pytestmark = pytest.mark.integration

RUN = """
import signal, subprocess, sys
from tests import run_guardian
from tests.state_folders import new_state_folder
signal.signal(signal.SIGINT, signal.default_int_handler)
end = run_guardian.start()
child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, start_new_session=True)
print(child.pid, new_state_folder("left"), flush=True)
try:
    signal.pause()
finally:
    end()
"""


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGKILL])
async def test_what_an_interrupted_run_has_started_ends(stop_signal: signal.Signals) -> None:
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN),
        env={**embedded_environment(), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert run.stdout is not None
    pid, folder = (await run.stdout.readline()).decode().split()
    started = psutil.Process(int(pid))
    run.send_signal(stop_signal)
    await holds(lambda: has_ended(started))
    await holds(lambda: not Path(folder).parent.exists())
    await run.communicate()

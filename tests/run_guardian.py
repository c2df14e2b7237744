"""A small process that outlives a test run just long enough to end whatever the run left, however it ended.

Every process of a run inherits a mark in its environment. The guardian's standard input is a pipe that closes
with the run, also with one that was killed; it then ends all that carries the mark, and removes its state.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import psutil

from tests.embedded_environment import ROOT
from tests.state_folders import make_folder_of_run

MARK = "GUARDED_TEST_RUN"
GRACE_SECONDS = 10
PATIENCE_SECONDS = 60


def start() -> Callable[[], None]:
    """Mark what this process starts from now on; return what ends the rest of it at once, and waits for that."""
    guardian = subprocess.Popen(
        [sys.executable, "-m", "tests.run_guardian", mark := uuid4().hex, make_folder_of_run()],
        env={name: value for name, value in os.environ.items() if name != MARK},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the run, not for it
    )
    os.environ[MARK] = mark

    def end() -> None:
        assert guardian.stdin is not None
        guardian.stdin.close()
        guardian.wait(PATIENCE_SECONDS)

    return end


def end_all(mark: str) -> None:
    """End what carries the mark, and what that starts meanwhile."""
    while left := carriers(mark):
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        patience = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < patience and carriers(mark):
            time.sleep(0.05)
        for process in carriers(mark):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def carriers(mark: str) -> list[psutil.Process]:
    """Return the processes of a run; those that have ended carry nothing, even while nobody asks for their end."""
    return [process for process in psutil.process_iter() if _mark_of(process) == mark]


def _mark_of(process: psutil.Process) -> str | None:
    with suppress(psutil.Error, OSError):
        return process.environ().get(MARK)
    return None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    end_all(sys.argv[1])
    shutil.rmtree(sys.argv[2], ignore_errors=True)

"""An interpreter that has loaded what commands need, and forks for each of them.

Loading takes a command half a second of the processor, and there are a hundred commands in a test run. What runs is a
process of its own all the same, with its own environment, folder, output and exit. Started as a program, it reads a
command a line from standard input and answers with its return code as `subprocess` gives it.
"""

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from giftcert.cli import COMMANDS

LOADED = (
    *("api.main", "giftcert.dispatch.main", "kafka_ingest.main", "worker"),
    *{f"giftcert.cli.{module}" for module, _ in COMMANDS.values()},
)


class WarmStart:
    """Runs commands, one after another whoever asks."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._output, self._errors = folder / "stdout", folder / "stderr"
        self._environment = environment
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, arguments: tuple[str, ...], settings: Mapping[str, str], folder: Path, seconds: int
    ) -> "subprocess.CompletedProcess[str]":
        """Run ``giftcert`` with these arguments; it is ended by SIGALRM after so many seconds."""
        command = {
            "arguments": arguments,
            "environment": {**self._environment, **settings},
            "folder": str(folder),
            "output": str(self._output),
            "errors": str(self._errors),
            "seconds": seconds,
        }
        with self._turn:
            code = self._answer(json.dumps(command))
            said = self._output.read_text(), self._errors.read_text()
        return subprocess.CompletedProcess(["giftcert", *arguments], code, *said)

    def _answer(self, command: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        with self._process:  # its standard input closes, and it ends
            pass


def become(command: dict[str, Any]) -> NoReturn:
    """Be the command from now on."""
    signal.alarm(command["seconds"])
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["folder"])
    for number, path in enumerate((os.devnull, command["output"], command["errors"])):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["giftcert", *command["arguments"]]
    from giftcert.cli import main  # noqa: PLC0415 - its arguments are those of the fork

    main()
    raise AssertionError("a command ends its process itself")


def serve() -> None:
    """Fork for each command until standard input closes."""
    for module in LOADED:
        importlib.import_module(module)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork has no other threads"
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            become(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()

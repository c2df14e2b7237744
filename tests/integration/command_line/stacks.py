"""A whole stack started by ``giftcert up`` in a process of its own."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tests.processes import PATIENCE_SECONDS, promised

END_SECONDS = 10
"""Within so much time all has ended, even if a part hangs."""


class Stack:
    """A running ``giftcert up --ports auto --json``; ``addresses`` are what it printed when all was ready."""

    COMMAND = (sys.executable, "-m", "giftcert.cli", "up", "--ports", "auto", "--json")

    def __init__(self, state_dir: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            self.COMMAND,
            env={**environment, "GIFTCERT_STATE_DIR": str(state_dir)},
            cwd=state_dir,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.reports: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise AssertionError("\n".join(self.reports))
        self.addresses: dict[str, Any] = json.loads(line)
        self.state_dir = state_dir

    def parts(self) -> dict[str, psutil.Process]:
        """Return the processes of the parts as they are now."""
        records = [json.loads(path.read_text()) for path in (self.state_dir / "run").glob("*.json")]
        return {record["part"]: psutil.Process(record["pid"]) for record in records}

    def descendants(self) -> list[psutil.Process]:
        """Return everything that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def said(self, part: str, words: str) -> bool:
        """Return whether a report of this part holds these words."""
        return any(self.reports_of(part, words))

    def reports_of(self, part: str, words: str) -> list[bool]:
        """Return, for each report, whether it is of this part and holds these words."""
        return [line.startswith(f"{part} ") and words in line for line in self.reports]

    def end(self, stop_signal: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end and return its exit code; it fails the test if that takes longer than promised."""
        began = time.monotonic()
        self.process.send_signal(stop_signal)
        code = self.process.wait(PATIENCE_SECONDS)
        assert promised(END_SECONDS, began), f"it took {time.monotonic() - began:.1f} s to end"
        return code

    def close(self) -> None:
        """Leave nothing behind, whatever the test has done."""
        left = self.descendants() if self.process.poll() is None else []
        for process in left:
            if process.is_running():
                process.kill()
        self.process.kill()
        self.process.wait()
        self._listener.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.reports.append(line.rstrip())

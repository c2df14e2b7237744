"""A Kafka whose process a test may stop for a while, as in a long pause of its host."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil


class StoppableKafka:
    """The broker, and how to hold it up."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.address: str = found["kafka_bootstrap_servers"]
        [record] = (Path(found["state"]) / "run").glob("kafka.*.json")
        self._broker = psutil.Process(json.loads(record.read_text())["pid"])

    def hang(self) -> None:
        """Stop the broker, and come back only when each of its threads stands still."""
        self._broker.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._broker.pid}/task")
        while any(_state(thread) != "T" for thread in threads.iterdir()):
            time.sleep(0.001)

    def go_on(self) -> None:
        self._broker.send_signal(signal.SIGCONT)


def _state(thread: Path) -> str:
    """The state letter of a thread, which stands behind its name in parentheses."""
    return thread.joinpath("stat").read_text().rpartition(")")[2].split()[0]

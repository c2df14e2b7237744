"""The guardian: a small process that outlives a killed supervisor just long enough to end all its parts.

It finds them by the records that each stack keeps of its processes; the next ``up`` ends by them what even the
guardian left. Started as ``python -m giftcert.embedded.guardian FOLDER``; its standard input is a pipe that closes
when the supervisor ends, however that happens.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PidFile:
    """One process that was started; ``started`` (seconds since 1970) tells it from a later one of its id."""

    part: str
    pid: int
    started: float
    stop_signal: int

    @classmethod
    def of(cls, part: str, pid: int, stop_signal: signal.Signals = signal.SIGTERM) -> "PidFile | None":
        """Return the record of a running process, or None when it has ended already."""
        try:
            return cls(part, pid, psutil.Process(pid).create_time(), int(stop_signal))
        except psutil.NoSuchProcess:
            return None

    def save(self, folder: Path) -> Path:
        """Write the record into the folder and return its path."""
        path = folder / f"{self.part}.{self.pid}.json"
        path.write_text(json.dumps(asdict(self)))
        return path

    def process(self) -> psutil.Process | None:
        """Return the process if it still is the one that was started."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        return None


def family_of(pid: int) -> list[psutil.Process]:
    """Return a process and all that descends from it."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def kill(processes: list[psutil.Process]) -> None:
    """Kill what is left of these, each by its id and only while it is the same process."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def end_leftovers(folder: Path) -> list[str]:
    """End every recorded process that still runs, and its descendants; return the parts that did.

    Each is asked with its own stop signal first and killed after a grace. The records are removed.
    """
    paths = sorted(folder.glob("*.json"))
    records = [
        record for record in map(_read, paths) if record and record.pid != os.getpid() and record.process()
    ]
    family = [member for record in records for member in family_of(record.pid)]
    for record in records:
        with suppress(ProcessLookupError):
            os.kill(record.pid, record.stop_signal)
    _, left = psutil.wait_procs(family, timeout=_GRACE_SECONDS)
    kill(left)
    psutil.wait_procs(left, timeout=_GRACE_SECONDS)
    for path in paths:
        path.unlink(missing_ok=True)
    return [record.part for record in records]


def running_parts(folder: Path) -> dict[str, int]:
    """Return the process id of each recorded part that runs."""
    records = filter(None, map(_read, folder.glob("*.json")))
    return {record.part: record.pid for record in records if record.process()}


def _read(path: Path) -> PidFile | None:
    """Return a record; one that was cut short in the writing is none."""
    try:
        return PidFile(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    end_leftovers(Path(sys.argv[1]))

"""Which processes belong to a stack, on disk, so that the guardian and the next ``up`` can end what is left."""

import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class PidFile:
    """One process that was started; ``started`` (seconds since 1970) tells it from a later one of its id."""

    part: str
    pid: int
    started: float
    stop_signal: int

    @classmethod
    def of(cls, part: str, pid: int, stop_signal: signal.Signals) -> "PidFile | None":
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
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
        except psutil.NoSuchProcess:
            return None
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def read_all(folder: Path) -> Iterator[tuple[Path, PidFile]]:
    """Yield the records of a folder; one that was cut short in the writing is removed."""
    for path in sorted(folder.glob("*.json")):
        try:
            record = PidFile(**json.loads(path.read_text()))
        except (ValueError, TypeError):
            path.unlink(missing_ok=True)
            continue
        yield path, record


def with_descendants(process: psutil.Process) -> list[psutil.Process]:
    """Return the process and all that descends from it."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return [process]


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill what is left of these, each by its id and only while it is the same process."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def end_leftovers(folder: Path, grace: float) -> list[str]:
    """End every recorded process that still runs and remove the records.

    Each is asked with its own stop signal first and killed after ``grace`` seconds, with its descendants.

    Returns:
        The names of the parts that were still running.
    """
    records = [(path, record) for path, record in read_all(folder) if record.pid != os.getpid()]
    alive = [(record, process) for _, record in records if (process := record.process()) is not None]
    family = [member for _, process in alive for member in with_descendants(process)]
    for record, process in alive:
        with suppress(psutil.NoSuchProcess):
            os.kill(process.pid, record.stop_signal)
    _, left = psutil.wait_procs(family, timeout=grace)
    kill(left)
    psutil.wait_procs(left, timeout=grace)
    for path, _ in records:
        path.unlink(missing_ok=True)
    return [record.part for record, _ in alive]

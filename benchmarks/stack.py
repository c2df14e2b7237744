"""A whole stack of its own for a measurement: ``giftcert up`` on free ports, in a folder that goes afterwards."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measurement import new_folder

GIFTCERT = (sys.executable, "-m", "giftcert.cli")
_PART = re.compile(
    r"giftcert\.cli (api|worker|ingest|dispatch)|(kafka)\.Kafka|(temporal) server|(postgres)", re.ASCII
)


@dataclass(frozen=True)
class Stack:
    """A running stack: where its parts are, its folder, a token of a channel, and the environment of its commands."""

    process_id: int
    api_url: str
    kafka: str
    temporal: str
    database_url: str
    folder: Path
    token: str
    environment: dict[str, str]


@contextmanager
def running_stack(
    pool: int, settings: Mapping[str, str] | None = None, state: Path | None = None
) -> Iterator[Stack]:
    """Start everything with these settings, fill the pool, and end everything; ``state`` is a folder to keep."""
    with new_folder() if state is None else nullcontext(state) as folder:
        limits = {"GIFTCERT_RESERVATION_CAP": "10000000", "GIFTCERT_RESERVATION_SHARE": "1"}
        ours = {"GIFTCERT_STATE_DIR": str(folder), **limits}
        environment = {**os.environ, **ours, **(settings or {})}
        command = [*GIFTCERT, "up", "--ports", "auto", "--json"]
        with (
            (folder / "up.log").open("wb") as log,
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            ) as process,
        ):
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line:
                    said = (folder / "up.log").read_text(errors="replace").strip()
                    raise RuntimeError(f"giftcert up did not start: {said[-400:]}")
                addresses = json.loads(line)
                yield _stack(process.pid, addresses, environment, pool)
            finally:
                process.terminate()
                process.wait(20)


def _stack(process_id: int, addresses: dict[str, Any], environment: dict[str, str], pool: int) -> Stack:
    if pool:
        subprocess.run(
            [*GIFTCERT, "pool", "generate", "--product", "GC-5000", "--count", str(pool)],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return Stack(
        process_id=process_id,
        api_url=addresses["apiUrl"],
        kafka=addresses["kafkaBootstrapServers"],
        temporal=addresses["temporalAddress"],
        database_url=addresses["databaseUrl"],
        folder=Path(addresses["stateFolder"]),
        token=token_of(environment, "channel"),
        environment=environment,
    )


def token_of(environment: dict[str, str], role: str) -> str:
    """Return a token of a role, as the running stack signs it."""
    command = [*GIFTCERT, "token", "--role", role, "--json"]
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return str(json.loads(answer.stdout)["token"])


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Return the processor time that each part of a stack has taken so far; what has ended is left out."""
    spent: dict[str, float] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if part := part_of(process, stack):
                times = process.cpu_times()
                spent[part] = spent.get(part, 0.0) + times.user + times.system
    return spent


def part_of(process: psutil.Process, stack: Stack) -> str | None:
    """Return which part of the stack a process belongs to: its own command line says it, or that of an ancestor."""
    family = [process, *process.parents()]
    for nth, one in enumerate(family):
        command = " ".join(one.cmdline())
        found = _PART.search(command)
        if found and (str(stack.folder) in command or stack.process_id in {it.pid for it in family[nth:]}):
            return next(name for name in found.groups() if name)
    return None

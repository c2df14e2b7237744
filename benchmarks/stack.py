"""A whole stack of its own for a measurement: ``giftcert up`` on free ports, in a folder that goes afterwards."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIFTCERT = (sys.executable, "-m", "giftcert.cli")


@dataclass(frozen=True)
class Stack:
    """A running stack: where its parts are, its folder, a token of a channel, and the environment of its commands."""

    api_url: str
    kafka: str
    temporal: str
    database_url: str
    folder: Path
    token: str
    environment: dict[str, str]


@contextmanager
def running_stack(pool: int) -> Iterator[Stack]:
    """Start everything, fill the pool, and end everything."""
    with tempfile.TemporaryDirectory(prefix="giftcert-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        environment = {**os.environ, "GIFTCERT_STATE_DIR": folder, "GIFTCERT_RESERVATION_CAP": "10000000"}
        with Path(folder, "up.log").open("wb") as log:
            command = [*GIFTCERT, "up", "--ports", "auto", "--json"]
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
            try:
                assert process.stdout is not None
                addresses = json.loads(process.stdout.readline())
                yield _stack(addresses, environment, pool)
            finally:
                process.terminate()
                process.wait(20)


def _stack(addresses: dict[str, Any], environment: dict[str, str], pool: int) -> Stack:
    if pool:
        subprocess.run(
            [*GIFTCERT, "pool", "generate", "--product", "GC-5000", "--count", str(pool)],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    token = subprocess.run(
        [*GIFTCERT, "token", "--role", "channel", "--json"],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    return Stack(
        api_url=addresses["apiUrl"],
        kafka=addresses["kafkaBootstrapServers"],
        temporal=addresses["temporalAddress"],
        database_url=addresses["databaseUrl"],
        folder=Path(addresses["stateFolder"]),
        token=json.loads(token.stdout)["token"],
        environment=environment,
    )

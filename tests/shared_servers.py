"""Starts servers that all xdist workers of a run share."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from giftcert.storage.migrate import migrate
from tests.embedded_environment import ROOT, embedded_environment
from tests.state_folders import new_state_folder

TEMPLATE = "giftcert_template"
POSTGRES_OF_MUTANTS = "POSTGRES_OF_MUTANTS"
"""In the environment: a prepared server that all tests of all mutants share, whose guardian stands elsewhere."""


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_server(part: str) -> str:
    """Start a server that ends with this test run; return its addresses and the folder of its state as JSON."""
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    state = str(new_state_folder(part))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.embedded_servers", part, "--throw-away", "--owner", str(run)],
        env={**embedded_environment(), "GIFTCERT_STATE_DIR": state},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as answer:
        line = answer.readline()
    assert line, f"{part} did not start"
    process.returncode = 0  # it outlives this worker: the run ends it
    return json.dumps({**json.loads(line), "state": state})


def prepare_template(url: str) -> None:
    """Make the migrated database of which tests get copies."""
    asyncio.run(on(url, f'CREATE DATABASE "{TEMPLATE}"'))
    migrate(named(url, TEMPLATE))


def named(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


async def on(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

"""Fixtures of the real servers: each starts when a test first asks for it, once for all xdist workers."""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from giftcert.storage.migrate import migrate

ServerAddresses = Callable[[str], dict[str, Any]]
_TEMPLATE = "giftcert_template"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def server(shared_folder: Path) -> ServerAddresses:
    """Give the addresses of a server, started by the first test of the run that asks."""

    def addresses(part: str) -> dict[str, Any]:
        record = shared_folder / f"{part}.json"
        with only_one(shared_folder / f"{part}.lock"):
            if not record.exists():
                record.write_text(start_server(part))
        found: dict[str, Any] = json.loads(record.read_text())
        return found

    return addresses


def start_server(part: str) -> str:
    """Start a server that ends with this test run; return its addresses as JSON.

    Its state lies outside the folder of the run, which pytest closes to the user of PostgreSQL.
    """
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    state = tempfile.mkdtemp(prefix=f"giftcert-{part}-")
    process = subprocess.Popen(
        [sys.executable, "-m", "giftcert.embedded", part, "--throw-away", "--owner", str(run)],
        env={**embedded_environment(), "GIFTCERT_STATE_DIR": state},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as answer:
        line = answer.readline()
    assert line, f"{part} did not start"
    process.returncode = 0  # it outlives this worker: the run ends it
    return line


def embedded_environment() -> dict[str, str]:
    """Our environment without settings that a developer may have made."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIFTCERT_")}


@pytest.fixture(scope="session")
def postgres_url(server: ServerAddresses, shared_folder: Path) -> str:
    """A PostgreSQL whose template database is migrated."""
    url: str = server("postgres")["database_url"]
    done = shared_folder / "migrated"
    with only_one(shared_folder / "migrated.lock"):
        if not done.exists():
            asyncio.run(_on(url, f'CREATE DATABASE "{_TEMPLATE}"'))
            migrate(named(url, _TEMPLATE))
            done.touch()
    return url


def named(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


async def _on(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def new_database(postgres_url: str) -> str:
    name = f"test_{uuid4().hex[:12]}"
    await _on(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"')
    return named(postgres_url, name)


@pytest.fixture(scope="session")
async def database_url(postgres_url: str) -> str:
    """A migrated database, shared by the tests of this worker."""
    return await new_database(postgres_url)


@pytest.fixture
async def fresh_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A migrated database that no other test has touched."""
    url = await new_database(postgres_url)
    yield url
    await _on(postgres_url, f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')


@pytest.fixture(scope="session")
def kafka(server: ServerAddresses) -> str:
    """The bootstrap address of a Kafka shared by all workers: give topics names of your own."""
    address: str = server("kafka")["kafka_bootstrap_servers"]
    return address


@pytest.fixture(scope="session")
def temporal_address(server: ServerAddresses) -> str:
    """The frontend of a Temporal development server shared by all workers: give ids and queues of your own."""
    address: str = server("temporal")["temporal_address"]
    return address


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A folder for a stack, outside that of the run, which pytest closes to the user of PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="giftcert-test-"))
    yield folder
    shutil.rmtree(folder)

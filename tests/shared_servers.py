"""Starts servers that all xdist workers of a run share."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from giftcert.storage.database import Connection, Database
from giftcert.storage.migrate import migrate
from tests.embedded_environment import ROOT, embedded_environment
from tests.state_folders import new_state_folder

TEMPLATE = "giftcert_template"
_OWNER_URLS: list[str] = []
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
    """Make the migrated database of which tests get copies; ``url`` is the owner's, all roles get his password."""
    password = urlsplit(url).password
    asyncio.run(on(url, f'CREATE DATABASE "{TEMPLATE}"'))
    migrate(named(url, TEMPLATE))
    for role in ("giftcert_service", "giftcert_read_only"):
        asyncio.run(on(url, f"ALTER ROLE {role} LOGIN PASSWORD '{password}'"))


def remember_owner(url: str) -> str:
    """Have ``owning`` reach the shared server by this address."""
    _OWNER_URLS.append(url)
    return url


def as_service(url: str) -> str:
    """Return the address of a database of the shared server for the role by which the service runs."""
    return url.replace("//giftcert:", "//giftcert_service:")


def as_reader(url: str) -> str:
    """Return the address of a database of the shared server for who only reads."""
    return as_owner(url).replace("//giftcert:", "//giftcert_read_only:")


def as_owner(url: str) -> str:
    """Return the address of a database of the shared server for who may do everything."""
    return url.replace("//giftcert_service:", "//giftcert:")


def named(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


@asynccontextmanager
async def owning(database: Database) -> AsyncIterator[Connection]:
    """Lend a connection to the same database of the shared server as the owner of its tables, in a transaction."""
    async with database.connection() as connection:
        name = await connection.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(named(_OWNER_URLS[-1], name), server_settings={"timezone": "UTC"})
    try:
        async with owner.transaction():
            yield owner
    finally:
        await owner.close()


async def on(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

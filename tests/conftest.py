"""Fixtures of the real servers: each starts when a test first asks for it, once for all xdist workers."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from aiokafka.consumer import fetcher
from hypothesis import HealthCheck, settings

from tests import run_guardian
from tests.event_schemas import validate_recorded
from tests.shared_servers import (
    POSTGRES_OF_MUTANTS,
    TEMPLATE,
    as_service,
    named,
    on,
    only_one,
    prepare_template,
    remember_owner,
    start_server,
)
from tests.state_folders import new_state_folder
from tests.stoppable_kafka import StoppableKafka

ServerAddresses = Callable[..., dict[str, Any]]
_END_ALL = pytest.StashKey[Callable[[], None]]()

# A machine that is busy with other things is no fault of the code.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
settings.load_profile("patient")

# Outputs are as wide as where nobody watches; an xdist worker is told the width of the terminal.
os.environ.pop("COLUMNS", None)

# By default structlog draws a trace with every variable of it, for a tenth of a second and over hundreds of lines.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_configure(config: pytest.Config) -> None:
    """Have somebody watch over what this run and its xdist workers start."""
    if not hasattr(config, "workerinput") and POSTGRES_OF_MUTANTS not in os.environ:
        config.stash[_END_ALL] = run_guardian.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Come back only when nothing of the run is left."""
    if _END_ALL in config.stash:
        config.stash[_END_ALL]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with tests that are given much time, so that at the end no xdist worker waits long for another."""
    items.sort(key=_time_given, reverse=True)


def _time_given(item: pytest.Item) -> float:
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0]) if limit else 0


@pytest.fixture(autouse=True)
def whole_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test begin with aiokafka's own readers: an ingest in this process exchanges them (ADR 64)."""
    monkeypatch.setattr(fetcher, "MemoryRecords", fetcher.MemoryRecords)
    monkeypatch.setattr(fetcher, "FetchResult", fetcher.FetchResult)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def server(shared_folder: Path) -> ServerAddresses:
    """Give the addresses of a server, started by the first test of the run that asks for one of this use."""

    def addresses(part: str, use: str = "all") -> dict[str, Any]:
        record = shared_folder / f"{part}-for-{use}.json"
        with only_one(record.with_suffix(".lock")):
            if not record.exists():
                record.write_text(start_server(part))
        found: dict[str, Any] = json.loads(record.read_text())
        return found

    return addresses


@pytest.fixture(scope="session")
def postgres_url(server: ServerAddresses, shared_folder: Path) -> str:
    """A PostgreSQL whose template database is migrated, as its owner reaches it."""
    if POSTGRES_OF_MUTANTS in os.environ:
        return remember_owner(os.environ[POSTGRES_OF_MUTANTS])
    url: str = server("postgres")["database_owner_url"]
    done = shared_folder / "migrated"
    with only_one(shared_folder / "migrated.lock"):
        if not done.exists():
            prepare_template(url)
            done.touch()
    return remember_owner(url)


async def new_database(postgres_url: str) -> str:
    name = f"test_{uuid4().hex[:12]}"
    await on(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" STRATEGY FILE_COPY')
    return as_service(named(postgres_url, name))


@pytest.fixture
async def fresh_database_url(postgres_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A migrated database that no other test has touched, as the service reaches it.

    The events left in it are as their schemas say.
    """
    url = await new_database(postgres_url)
    yield url
    if request.node.get_closest_marker("made_up_events") is None:
        await validate_recorded(url)
    await on(postgres_url, f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')


@pytest.fixture(scope="session")
def kafka(server: ServerAddresses) -> str:
    """The bootstrap address of a Kafka shared by all workers: give topics names of your own."""
    address: str = server("kafka")["kafka_bootstrap_servers"]
    return address


@pytest.fixture
def stoppable_kafka(server: ServerAddresses, shared_folder: Path) -> Iterator[StoppableKafka]:
    """A Kafka of the tests that stop it, of one at a time."""
    kafka = StoppableKafka(server("kafka", use="stopping"))
    with only_one(shared_folder / "stopping.lock"):
        yield kafka
        kafka.go_on()


@pytest.fixture(scope="session")
def temporal_address(server: ServerAddresses) -> str:
    """The frontend of a Temporal development server shared by all workers: give ids and queues of your own."""
    address: str = server("temporal")["temporal_address"]
    return address


@pytest.fixture(scope="session")
def running_stack(server: ServerAddresses) -> dict[str, Any]:
    """The addresses and the state folder of a whole stack as ``giftcert up`` starts it, shared by all workers.

    Its pool has 200 certificates of each product: take few, and leave nothing that waits.
    """
    return server("service")


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A folder for a stack."""
    folder = new_state_folder("test")
    yield folder
    shutil.rmtree(folder)

"""The four services as processes: each runs until it is stopped."""

import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog
import typer
import uvloop

from giftcert.cli.connections import (
    Check,
    check_database,
    check_kafka,
    check_temporal,
    refuse_if_refused,
)
from giftcert.cli.errors import reason_of
from giftcert.cli.event_loop import LoopFactory, run_until_stopped
from giftcert.cli.output import LogJson
from giftcert.embedded.addresses import refuse_embedded_keys, with_running_stack
from giftcert.logs import configure_logging, logs_json
from giftcert.security.keys import keyring_of
from giftcert.setting_sources import unknown_settings
from giftcert.settings import Settings, load_settings
from giftcert.storage.audit_chain import may_change_events
from giftcert.storage.database import DATABASE_ERRORS, Connection, Database
from giftcert.storage.pool import PoolRepository
from giftcert.temporal.runtime import log_and_measure
from giftcert.tracing import start_tracing

app = typer.Typer()
_LOG = structlog.get_logger(__name__)


@app.command()
def api(as_json: LogJson = False) -> None:
    """Answer channels, CRM and support over HTTP."""
    _serve("api", "api.main", needs=[check_database], uses=[check_temporal], seals=True, as_json=as_json)


@app.command()
def worker(as_json: LogJson = False) -> None:
    """Run the certificates' workflows and their activities."""
    _serve(
        "worker",
        "worker",
        needs=[check_database, check_temporal],
        uses=[check_kafka],
        loop=None,
        as_json=as_json,
    )


@app.command()
def ingest(as_json: LogJson = False) -> None:
    """Read orders, payments and clients from Kafka and signal the certificates that they concern."""
    _serve(
        "ingest",
        "kafka_ingest.main",
        needs=[check_database, check_temporal, check_kafka],
        seals=True,
        as_json=as_json,
    )


@app.command()
def dispatch(as_json: LogJson = False) -> None:
    """Publish what is committed to the stream."""
    _serve("dispatch", "giftcert.dispatch.main", needs=[check_database, check_kafka], as_json=as_json)


def _serve(
    process: str,
    module: str,
    *,
    needs: Sequence[Check],
    uses: Sequence[Check] = (),
    seals: bool = False,
    as_json: bool = False,
    loop: LoopFactory | None = uvloop.new_event_loop,
) -> None:
    """Run a service. uvloop is faster for many small requests and messages; a worker gained nothing from it."""
    # Loaded before the word to start, so that in `giftcert up` it costs no time after the servers are ready.
    serve: Callable[[Settings], Awaitable[None]] = importlib.import_module(module).serve

    async def work() -> None:
        settings = with_running_stack(load_settings())
        refuse_embedded_keys(settings)
        settings = settings.model_copy(update={"log_json": as_json or settings.log_json})
        configure_logging(settings, process)
        start_tracing(process)
        log_and_measure(figures=process == "api" or settings.metrics_port is not None)
        for sentence in unknown_settings():
            _LOG.warning(sentence)
        with failing_in_a_line_of_the_log(settings):
            await refuse_if_refused(settings, needs, uses)
            await warn_of_too_many_rights(settings)
            if seals:  # it opens CVCs, or seals what goes into quarantine
                await check_keyring(settings)
            await serve(settings)

    run_until_stopped(work, loop=loop)


@contextmanager
def failing_in_a_line_of_the_log(settings: Settings) -> Iterator[None]:
    """Where logs are read by programs, have the last line say in their format why the process ends."""
    try:
        yield
    except Exception as error:
        if not logs_json(settings) or "--debug" in sys.argv:
            raise
        _LOG.critical(reason_of(error), error=type(error).__name__)
        raise typer.Exit(1) from error


async def check_keyring(settings: Settings) -> None:
    """Raise `SealError` where the keyring did not seal the pool; a database that is away proves nothing."""
    keyring = keyring_of(settings)
    with suppress(*DATABASE_ERRORS):  # it may have no tables yet
        async with _connection(settings) as connection:
            await PoolRepository(connection).check_keyring(keyring)


async def warn_of_too_many_rights(settings: Settings) -> None:
    """Log where the service connects to PostgreSQL as a user that could change what is on record (ADR 78)."""
    with suppress(*DATABASE_ERRORS):
        async with _connection(settings) as connection:
            if await may_change_events(connection):
                _LOG.warning(
                    "the service could change the audit trail: connect it as a user of the role giftcert_service",
                    setting="GIFTCERT_DATABASE_URL",
                )


@asynccontextmanager
async def _connection(settings: Settings) -> AsyncIterator[Connection]:
    async with Database.of(settings, "giftcert-check") as database, database.connection() as connection:
        yield connection

"""The four services as processes: each runs until it is told to end."""

import importlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from giftcert.cli.event_loop import run_until_told

if TYPE_CHECKING:
    import asyncio

    from giftcert.settings import Settings

MODULES = {
    "api": "api.main",
    "worker": "worker",
    "ingest": "kafka_ingest.main",
    "dispatch": "giftcert.dispatch.main",
}


def api() -> None:
    """Answer channels, CRM and support over HTTP."""
    _serve("api")


def worker() -> None:
    """Run the certificates' workflows and their activities."""
    _serve("worker")


def ingest() -> None:
    """Read orders, payments and clients from Kafka and tell the certificates."""
    _serve("ingest")


def dispatch() -> None:
    """Publish what is committed to the stream."""
    _serve("dispatch")


def _serve(service: str) -> None:
    # Loaded before the word to start, so that in `giftcert up` it costs no time after the servers are ready.
    serve: Callable[[Settings], Awaitable[None]] = importlib.import_module(MODULES[service]).serve

    async def work() -> None:
        from giftcert.embedded.addresses import with_running_stack
        from giftcert.embedded.key_rule import refuse_embedded_keys
        from giftcert.settings import load_settings
        from giftcert.telemetry import configure_logging

        settings = with_running_stack(load_settings())
        refuse_embedded_keys(settings)
        if service in {"api", "ingest"}:  # it opens CVCs, or seals what goes into quarantine
            from giftcert.cli.keyring_check import check_keyring_of

            await check_keyring_of(settings)
        configure_logging(settings)
        await serve(settings)

    run_until_told(work, loop=None if service == "worker" else _fast_loop)


def _fast_loop() -> "asyncio.AbstractEventLoop":
    """Return a loop of uvloop: faster for many small requests and messages; a worker gained nothing from it."""
    import uvloop

    return uvloop.new_event_loop()

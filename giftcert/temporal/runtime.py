"""What Temporal's core says of itself: its log lines join ours, and its figures those of the process."""

import logging
import socket
from contextlib import suppress
from functools import partial

import httpx
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from giftcert import telemetry

_CORE = "temporalio.core"
_LOOPBACK = "127.0.0.1"
_ATTEMPTS = 5
_ANSWER_SECONDS = 2.0


def log_and_measure(*, figures: bool) -> None:
    """Have the core of this process's clients and workers log through ours, and its figures join ours.

    To be called once, before the first client connects.
    """
    if not figures:
        _set_runtime(None)
        return
    for left in reversed(range(_ATTEMPTS)):
        port = _free_port()
        address = f"{_LOOPBACK}:{port}"
        served = PrometheusConfig(
            address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
        )
        try:
            _set_runtime(served)
        except (RuntimeError, ValueError):  # another process took the port meanwhile
            if not left:
                raise
        else:
            telemetry.add_source(partial(_read, f"http://{address}/metrics"))
            return


def _set_runtime(metrics: PrometheusConfig | None) -> None:
    forwarding = LogForwardingConfig(
        logging.getLogger(_CORE),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,
    )
    logs = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=logs, metrics=metrics)))


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


async def _read(url: str) -> bytes:
    """Return what the core serves to this process alone, nothing where it does not answer."""
    with suppress(httpx.HTTPError):
        async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False) as client:
            return (await client.get(url)).content
    return b""

"""Structured logs: one line of JSON for each event, ours or a library's, without secrets; repeats are counted.

Every line has ``timestamp``, ``level``, ``logger``, ``process`` and ``event``, and, where they are known,
``certificate_id``, ``order_id``, ``event_id`` and ``trace_id``. On a terminal the same is shown as text.
"""

import logging
import os
import sys
import threading
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from giftcert.redaction import redact
from giftcert.repeated_logs import LEFT_OUT, CountingHandler
from giftcert.settings import Settings
from giftcert.tracing import trace_id

COMMAND = "command"
"""The process of a line that no service wrote."""
ORDER = ("timestamp", "level", "logger", "process", "event")
_CERTIFICATE = "certificate-"  # begins the id of a workflow that leads one
_LOG = structlog.get_logger(__name__)


def configure_logging(settings: Settings, process: str = COMMAND) -> None:
    """Send all loggers, warnings and what nobody caught to standard error; as JSON unless it is a terminal."""
    as_json = logs_json(settings)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = CountingHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _add_of_record,
                ProcessorFormatter.remove_processors_meta,
                redact,
                _add_trace,
                *_rendering(process, as_json=as_json),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else it logs each request
    _log_what_nobody_caught()


def logs_json(settings: Settings) -> bool:
    """Return whether lines are JSON: unless a person watches who has not asked for it."""
    return settings.log_json or not sys.stderr.isatty()


def _rendering(process: str, *, as_json: bool) -> list[Processor]:
    if not as_json:
        return [structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)]

    def in_order(_logger: Any, _method: str, event: EventDict) -> EventDict:  # noqa: ANN401 - structlog's shape
        event["process"] = process
        return {**{key: event.pop(key) for key in ORDER}, **event}

    return [in_order, structlog.processors.JSONRenderer(ensure_ascii=False)]


def _add_of_record(_logger: Any, _method: str, event: EventDict) -> EventDict:  # noqa: ANN401 - structlog's shape
    """Add how often a line was left out, and what Temporal's libraries say beside their messages."""
    record = event["_record"]
    if left_out := getattr(record, LEFT_OUT, None):
        event["repeated"] = left_out
    if core := getattr(record, "temporal_log", None):
        event.update(target=core.target, details=core.fields)
    about = getattr(record, "temporal_activity", None) or getattr(record, "temporal_workflow", None) or {}
    workflow_id = about.get("workflow_id") or ""
    if workflow_id.startswith(_CERTIFICATE):
        event["certificate_id"] = workflow_id.removeprefix(_CERTIFICATE)
    return event


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:  # noqa: ANN401 - structlog's shape
    if found := trace_id():
        event["trace_id"] = found
    return event


def _log_what_nobody_caught() -> None:
    """Have warnings, and errors that end a process, a thread or a destructor, logged like everything else."""
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda _kind, error, _trace: _log_uncaught("the process ends", error)
    threading.excepthook = lambda said: _log_uncaught("a thread ends", said.exc_value)
    sys.unraisablehook = lambda said: _log_uncaught("an error that nobody can catch", said.exc_value)


def _log_uncaught(event: str, error: BaseException | None) -> None:
    _LOG.critical(event, exc_info=error)

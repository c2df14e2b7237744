import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from giftcert.logs import ORDER, configure_logging
from giftcert.settings import Settings

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root, of_tests = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**of_tests)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


@pytest.fixture
def lines(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Lines:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging(settings, "ingest")
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


def test_all_lines_are_json_with_the_same_keys_and_without_secrets(lines: Lines) -> None:
    structlog.get_logger("giftcert.test").info("disclosed", certificate="c-1", cvc="123456")
    logging.getLogger("aiokafka").warning("record %s", "4000000000000002")
    ours, theirs = lines()
    assert [list(line)[: len(ORDER)] for line in (ours, theirs)] == [list(ORDER)] * 2
    assert (ours["process"], ours["level"], ours["event"], ours["cvc"]) == (
        "ingest",
        "info",
        "disclosed",
        "[redacted]",
    )
    assert (theirs["logger"], theirs["event"]) == ("aiokafka", "record [redacted]")


def test_a_line_names_what_it_is_about(lines: Lines) -> None:
    with bound_contextvars(certificate_id="c-1", order_id="IM-1"):
        logging.getLogger("asyncpg").warning("slow")
    [line] = lines()
    assert (line["certificate_id"], line["order_id"]) == ("c-1", "IM-1")


def test_what_temporal_says_of_a_workflow_names_its_certificate(lines: Lines) -> None:
    about = {"temporal_activity": {"workflow_id": "certificate-c-1"}}
    logging.getLogger("temporalio.activity").warning("Completing activity as failed", extra=about)
    assert lines()[0]["certificate_id"] == "c-1"


def test_what_nobody_caught_is_logged_without_secrets(lines: Lines) -> None:
    sys.excepthook(ValueError, ValueError("no 4000 0000 0000 0002 here, \x1b[2J"), None)
    [line] = lines()
    assert line["level"] == "critical"
    assert "ValueError: no [redacted] here, \\x1b[2J" in line["exception"]


def test_a_thread_that_fails_is_logged(lines: Lines) -> None:
    def fail() -> None:
        raise ValueError("no")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    [line] = lines()
    assert line["event"] == "a thread ends"
    assert "ValueError: no" in line["exception"]


def test_warnings_are_logged(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn_explicit("old", DeprecationWarning, "a.py", 1)
    [line] = lines()
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")


def test_lines_below_the_level_are_not_written(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(settings.model_copy(update={"log_level": "warning"}))
    structlog.get_logger("giftcert.test").info("disclosed")
    assert capsys.readouterr().err == ""

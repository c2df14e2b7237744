import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from prometheus_client import Counter

from giftcert.settings import Settings
from giftcert.telemetry import configure_logging, metrics_server
from tests.processes import free_port

SEEN = Counter("giftcert_test_seen", "Something seen in a test")


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook, of_tests = list(root.handlers), root.level, sys.excepthook, structlog.get_config()
    yield
    sys.excepthook = hook
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**of_tests)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, metrics_port=free_port())


@pytest.mark.usefixtures("restored_logging")
def test_log_lines_are_json_without_secrets_where_nobody_watches(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(settings)
    structlog.get_logger("giftcert.test").info("disclosed", certificate="c-1", cvc="123456")
    logging.getLogger("aiokafka").warning("record %s", "4000000000000002")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert ours["event"] == "disclosed"
    assert ours["level"] == "info"
    assert ours["cvc"] == "[redacted]"
    assert theirs["event"] == "record [redacted]"
    assert theirs["logger"] == "aiokafka"


@pytest.mark.usefixtures("restored_logging")
def test_what_nobody_caught_is_written_without_secrets(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(settings)
    error = ValueError("no 4000 0000 0000 0002 here, \x1b[2J")
    sys.excepthook(ValueError, error, None)
    assert capsys.readouterr().err == "ValueError: no [redacted] here, \\x1b[2J\n"


@pytest.mark.usefixtures("restored_logging")
def test_log_lines_below_the_level_are_not_written(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(settings.model_copy(update={"log_level": "warning"}))
    structlog.get_logger("giftcert.test").info("disclosed")
    assert capsys.readouterr().err == ""


async def test_health_says_what_a_process_waits_for_until_it_is_ready(settings: Settings) -> None:
    async with metrics_server(settings) as health, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{settings.metrics_port}/healthz"
        starting = await client.get(url)
        health.ready()
        ready = await client.get(url)
        health.waits_for("kafka")
        waiting = await client.get(url)
    assert (starting.status_code, ready.status_code, waiting.status_code) == (503, 200, 503)
    assert waiting.json()["for"] == "kafka"


async def test_metrics_are_served_in_the_text_format(settings: Settings) -> None:
    SEEN.inc()
    async with metrics_server(settings), httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{settings.metrics_port}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "giftcert_test_seen_total" in answer.text


async def test_an_unknown_path_is_not_found(settings: Settings) -> None:
    async with metrics_server(settings), httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{settings.metrics_port}/")).status_code == 404


async def test_without_a_port_nothing_is_served(tmp_path: Path) -> None:
    async with metrics_server(Settings(state_dir=tmp_path)) as health:
        health.ready()
        assert health.waiting_for is None

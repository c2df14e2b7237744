from pathlib import Path

import httpx
import pytest
from prometheus_client import Counter

from giftcert import telemetry
from giftcert.settings import Settings
from giftcert.telemetry import metrics_server
from tests.processes import free_port

SEEN = Counter("giftcert_test_seen", "Something seen in a test")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, metrics_port=free_port())


async def test_health_says_what_a_process_waits_for_until_it_is_ready(settings: Settings) -> None:
    async with metrics_server(settings) as health, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{settings.metrics_port}"
        starting = await client.get(f"{url}/readyz")
        health.ready()
        ready = await client.get(f"{url}/readyz")
        health.stands_still("kafka", "it fails: OSError")
        waiting = await client.get(f"{url}/readyz")
        as_before = await client.get(f"{url}/healthz")
        living = await client.get(f"{url}/livez")
        health.beat("consumer", within=-1)
        stuck = await client.get(f"{url}/livez")
    assert (starting.status_code, ready.status_code, waiting.status_code) == (503, 200, 503)
    assert waiting.json() == {"status": "notReady", "reasons": {"kafka": "it fails: OSError"}}
    assert (as_before.status_code, as_before.json()) == (503, {"status": "waiting", "for": "kafka"})
    assert (living.status_code, living.json()) == (200, {"status": "alive", "reasons": {}})
    assert (stuck.status_code, stuck.json()["status"], list(stuck.json()["reasons"])) == (
        503,
        "stuck",
        ["consumer"],
    )


async def test_health_names_what_is_wrong_elsewhere_and_is_well_all_the_same(settings: Settings) -> None:
    async with metrics_server(settings) as health, httpx.AsyncClient() as client:
        health.ready()
        health.notes["stuckWorkflows"] = "3 workflows: see giftcert status"
        answer = await client.get(f"http://127.0.0.1:{settings.metrics_port}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "notes": health.notes})


async def test_metrics_are_served_in_the_text_format(settings: Settings) -> None:
    SEEN.inc()
    async with metrics_server(settings), httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{settings.metrics_port}/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "giftcert_test_seen_total" in answer.text


async def test_figures_of_a_library_join_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    async def of_a_library() -> bytes:
        return b"temporal_request_total 3\n"

    monkeypatch.setattr(telemetry, "_sources", [])
    telemetry.add_source(of_a_library)
    text = (await telemetry.exposition()).decode()
    assert text.endswith("\ntemporal_request_total 3\n")
    assert text.startswith("# HELP")


async def test_an_unknown_path_is_not_found(settings: Settings) -> None:
    async with metrics_server(settings), httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{settings.metrics_port}/")).status_code == 404


async def test_without_a_port_nothing_is_served(tmp_path: Path) -> None:
    async with metrics_server(Settings(state_dir=tmp_path)) as health:
        health.ready()
        assert health.waiting_for is None

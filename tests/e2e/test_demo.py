"""The demo's scenarios through the whole stack, as ``make demo`` plays them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.demo.scenarios import SCENARIOS
from tests.embedded_environment import embedded_environment
from tests.state_folders import new_state_folder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def state_folder() -> Iterator[Path]:
    folder = new_state_folder("demo")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def demo(state_folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "giftcert.cli", "demo", *arguments],
        env=embedded_environment() | {"GIFTCERT_STATE_DIR": str(state_folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_scenario_of_the_demo_comes_out(state_folder: Path) -> None:
    run = demo(state_folder, "--sales", "40", "--goods", "100")
    shown = run.stdout + run.stderr
    assert run.returncode == 0, shown
    for scenario in SCENARIOS:
        assert scenario.name in shown
    assert "All of it came out." in shown
    assert "http" in shown.partition("A refund that waits for a person:")[2]

"""The demo's scenarios through the whole stack, as ``make demo`` plays them, and what they leave behind."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulators.demo.scenarios import SCENARIOS
from simulators.demo_environment import PRODUCTS_FILE
from tests.e2e.remains import PLACES, Place, Remains
from tests.embedded_environment import embedded_environment
from tests.state_folders import new_state_folder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
KEPT = "all goes on until Ctrl-C"
ENDS_IN_SECONDS = 30


@dataclass(frozen=True)
class Demo:
    """A demo that was played to its end, whose stack still runs."""

    shown: str
    remains: Remains


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    folder = new_state_folder("demo")
    environment = embedded_environment() | {
        "GIFTCERT_STATE_DIR": str(folder),
        "GIFTCERT_PRODUCTS_FILE": str(with_long_cvcs(folder)),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "giftcert.cli", "demo", "--keep", "--sales", "40", "--goods", "100"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        shown = shown_until_kept(process)
        yield Demo(shown, Remains(folder / "demo", environment, shown))
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=ENDS_IN_SECONDS)
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def with_long_cvcs(folder: Path) -> Path:
    """The demo's products with CVCs of eight digits: of six, any microsecond of a log could be one."""
    products = json.loads(PRODUCTS_FILE.read_text())
    path = folder / "products.json"
    path.write_text(json.dumps([product | {"cvcLength": 8} for product in products]))
    return path


def shown_until_kept(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(KEPT):
            break
    return "".join(lines)


def test_every_scenario_of_the_demo_comes_out(demo: Demo) -> None:
    shown = demo.shown
    assert KEPT in shown, shown
    for scenario in SCENARIOS:
        assert scenario.name in shown
    assert "All of it came out." in shown, shown
    assert "http" in shown.partition("A refund that waits for a person:")[2]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_no_secret_stands_in_a_place_and_one_that_is_planted_there_is_found(
    demo: Demo, place: type[Place]
) -> None:
    async with demo.remains.opened(place) as looked_at:
        secrets = await demo.remains.secrets()
        assert await looked_at.found(secrets) == []
        planted = demo.remains.planted(place)
        await looked_at.plant(planted)
        assert await looked_at.found(planted.secrets)

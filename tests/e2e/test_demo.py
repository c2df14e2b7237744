"""The demo's scenarios through the whole stack, as ``make demo`` plays them, and what they leave behind."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from giftcert.bi.warehouse import Warehouse
from giftcert.verification.violations import INVARIANTS
from simulators.demo.scenarios import SCENARIOS
from simulators.demo_environment import PRODUCTS_FILE
from tests.e2e.remains import PLACES, Place, Remains
from tests.embedded_environment import embedded_environment
from tests.state_folders import new_state_folder
from tests.waiting import until

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
        "GIFTCERT_SNAPSHOT_EVERY": "PT10S",
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
    assert "Everything is as expected." in shown, shown
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


async def test_the_report_comes_to_the_books_of_the_demo_to_the_kopeck(demo: Demo, tmp_path: Path) -> None:
    """The demo has held the figures of its own BI against the books of shops and support; these are the same."""
    file, page, verified = tmp_path / "bi.duckdb", tmp_path / "page.html", tmp_path / "verify.json"
    await until(lambda: is_snapshot_loaded(demo, file))
    verified.write_bytes(await demo.remains.command("verify", "--json", errors=asyncio.subprocess.DEVNULL))
    said = await demo.remains.command(
        *("bi", "report", "--file", str(file), "--output", str(page), "--verify", str(verified), "--json")
    )
    assert json.loads(said)["differences"] == 0, page.read_text()
    with closing(Warehouse.open_to_read(file)) as warehouse:
        total = warehouse.query(ALL_MONEY).as_dicts[0]
        assert warehouse.query(WITHOUT_DIMENSION).rows == []
    published = figures_of_simulated_bi(demo)
    assert published["revenue"] > 0
    assert total.pop("owed") == total["liability"]
    assert total == {name: published[name] for name in total}
    assert page.read_text().partition('id="verification"')[2].count("<td>") > len(INVARIANTS)


ALL_MONEY = """
    SELECT sum(issued) AS issued, sum(sold) - sum(refunded) AS revenue, sum(discount) AS discount,
        sum(spent) - sum(restored) AS redeemed, sum(uncovered) AS uncovered, sum(breakage) AS breakage,
        sum(goods_uncovered) AS "goodsUncovered",
        sum(nominal_issued) - sum(spent) + sum(restored) - sum(taken) - sum(breakage) AS owed,
        (SELECT sum(balance + held) FROM certificates) AS liability, (SELECT sum(held) FROM certificates) AS held
    FROM money
"""


WITHOUT_DIMENSION = """
    SELECT DISTINCT event_type FROM stream
    WHERE certificate_id IS NOT NULL AND (json_exists(payload, '$.amount') OR event_type = 'audit.expired')
        AND (customer_id IS NULL OR product IS NULL OR channel IS NULL OR sale_channel IS NULL)
"""


async def is_snapshot_loaded(demo: Demo, file: Path) -> bool:
    await demo.remains.command("bi", "load", "--file", str(file))
    with closing(Warehouse.open_to_read(file)) as warehouse:
        return bool(warehouse.query("FROM snapshots").rows)


def figures_of_simulated_bi(demo: Demo) -> dict[str, Any]:
    """It ends with 1 where a test has planted a record that is no event; its figures are of the others."""
    kafka = demo.remains.settings.kafka_address
    addresses = {"SIMULATORS_KAFKA_BOOTSTRAP_SERVERS": kafka, "SIMULATORS_API_URL": "http://unused"}
    environment = {**demo.remains.environment, **addresses}
    command = [sys.executable, "-m", "simulators.bi"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    figures: dict[str, Any] = json.loads(run.stdout)
    return figures

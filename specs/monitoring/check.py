"""``python -m specs.monitoring.check [--pictures]``: check alert rules and dashboards, against a demo that runs.

promtool checks the rules and runs their tests; every query of every dashboard parses, and every metric that one names
is served by a process of the service. ``--pictures`` also draws the dashboards of the demo, into
``docs/images/dashboards``. Prometheus is the machine's, or Debian's package, unpacked into the project's own folder.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from specs.check.tools import CheckError, run
from specs.monitoring.names import MONITORING, RARE, RULES, queries, served, used
from specs.monitoring.pictures import draw_all

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".build" / "monitoring"
PICTURES = ROOT / "docs" / "images" / "dashboards"
SCRAPED_EVERY = 2
"""Seconds; the demo is a trading day in a minute."""
_START_SECONDS, _END_SECONDS = 120, 30
_READY = "all goes on until Ctrl-C"


def main() -> None:
    """Do all checks; the exit status is 1 where one finds something."""
    parser = argparse.ArgumentParser(prog="make check-telemetry", description=__doc__)
    parser.add_argument("--pictures", action="store_true", help="draw the dashboards of the demo")
    parser.add_argument("--sales", type=int, default=300, help="certificates that the demo sells")
    options = parser.parse_args()
    try:
        promtool, prometheus = programs()
        check_rules(promtool)
        check_queries(promtool)
        check_demo(prometheus, options.sales, draw=options.pictures)
    except CheckError as error:
        sys.exit(f"check-telemetry: {error}")


def programs() -> tuple[Path, Path]:
    """Return promtool and prometheus; those of Debian's package where the machine has none."""
    found = [shutil.which(name) for name in ("promtool", "prometheus")]
    if all(found):
        return Path(str(found[0])), Path(str(found[1]))
    folder = BUILD / "package"
    if not (folder / "usr/bin/promtool").exists():
        if not all(shutil.which(name) for name in ("apt-get", "dpkg")):
            raise CheckError("needs promtool and prometheus, of the package prometheus")
        with tempfile.TemporaryDirectory() as fetched:
            run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "prometheus"], Path(fetched))
            [package] = Path(fetched).glob("prometheus_*.deb")
            folder.mkdir(parents=True, exist_ok=True)
            run(["dpkg", "-x", package, folder], ROOT)
    return folder / "usr/bin/promtool", folder / "usr/bin/prometheus"


def check_rules(promtool: Path) -> None:
    """Check the rules, and run their tests."""
    run([promtool, "check", "rules", *RULES], ROOT)
    run([promtool, "test", "rules", MONITORING / "alerts_test.yaml"], ROOT)
    _say("the rules are sound, and their tests pass")


def check_queries(promtool: Path) -> None:
    """Have each query parsed, as the expression of a rule."""
    expressions = list(queries())
    found = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "queries.yaml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": found}]}), encoding="utf-8")
        run([promtool, "check", "rules", path], ROOT)
    _say(f"{len(expressions)} queries of dashboards and rules parse")


def check_demo(prometheus: Path, sales: int, *, draw: bool) -> None:
    """Run a demo, compare what its processes serve with what is used, and draw what Prometheus saw of it."""
    with demo(sales) as (folder, process):
        targets = metrics_urls(folder, process)
        with scraping(prometheus, targets) as url:
            began = time.time()
            _await_end_of_demo(folder, process)
            expositions = {name: httpx.get(target).text for name, target in targets.items()}
            missing = used() - set().union(*map(served, expositions.values())) - RARE
            if missing:
                raise CheckError(f"no process serves {', '.join(sorted(missing))}")
            counts = ", ".join(f"{name} {len(served(text))}" for name, text in expositions.items())
            _say(f"every metric that is used is served; metrics of each process: {counts}")
            if draw:
                time.sleep(3 * SCRAPED_EVERY)
                for path in draw_all(url, began, time.time(), PICTURES):
                    _say(f"drawn: {path.relative_to(ROOT)}")


@contextmanager
def demo(sales: int) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """Start a demo on a stack of its own, which goes on when it has ended; yield the folder of its state."""
    with tempfile.TemporaryDirectory(prefix="giftcert-telemetry-") as folder:
        state = Path(folder)
        environment = {**os.environ, "GIFTCERT_STATE_DIR": folder, "GIFTCERT_CACHE_DIR": str(ROOT / ".build")}
        command = [sys.executable, "-m", "giftcert.cli", "demo", "--keep", "--sales", str(sales)]
        with (
            (state / "demo.log").open("wb") as log,
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as process,  # noqa: S603 - ours
        ):
            try:
                yield state, process
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(_END_SECONDS)


def metrics_urls(folder: Path, process: "subprocess.Popen[bytes]") -> Mapping[str, str]:
    """Return where each process of the demo's stack serves its metrics, once it does."""
    path, until = folder / "demo" / "addresses.json", time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if path.exists():
            addresses = json.loads(path.read_text("utf-8"))["addresses"]
            if addresses["metrics_urls"]:
                urls: dict[str, str] = addresses["metrics_urls"]
                return urls
        time.sleep(0.2)
    raise CheckError(f"the demo did not start: {_last_line(folder)}")


@contextmanager
def scraping(prometheus: Path, targets: Mapping[str, str]) -> Iterator[str]:
    """Have a Prometheus of our own scrape these; yield its address."""
    jobs = [
        {
            "job_name": f"giftcert-{name}",
            "static_configs": [{"targets": [url.removeprefix("http://").removesuffix("/metrics")]}],
        }
        for name, url in targets.items()
    ]
    every = f"{SCRAPED_EVERY}s"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configuration = {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": [str(path) for path in RULES],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        port = _free_port()
        command = [
            str(prometheus),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as process,  # noqa: S603 - the machine's
        ):
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(_END_SECONDS)


def _await_end_of_demo(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    while _READY not in (folder / "demo.log").read_text("utf-8", "replace"):
        if process.poll() is not None:
            raise CheckError(f"the demo ended: {_last_line(folder)}")
        time.sleep(0.5)


def _last_line(folder: Path) -> str:
    lines = (folder / "demo.log").read_text("utf-8", "replace").splitlines()
    return lines[-1] if lines else "it said nothing"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what a check found


if __name__ == "__main__":
    main()

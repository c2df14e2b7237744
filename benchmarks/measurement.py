"""What measurements share: options, a folder and servers of their own, medians of floor and service by turns."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median


def options(**defaults: float) -> argparse.Namespace:
    """Read numbers from the command line: an option for each name."""
    parser = argparse.ArgumentParser()
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


@contextmanager
def new_folder() -> Iterator[Path]:
    """Make a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="giftcert-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        yield Path(folder)


@contextmanager
def servers(folder: Path, *parts: str) -> Iterator[dict[str, str]]:
    """Start durable ``postgres``, the real ``kafka``, ``temporal``, their state in a folder; yield their addresses."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.embedded_servers", *parts],
        env={**os.environ, "GIFTCERT_STATE_DIR": f"{folder}/state"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)


def medians(pairs: Sequence[tuple[float, float]], digits: int | None = None) -> dict[str, float]:
    """Return the medians of floor and service, and of their ratios, of rounds of which the first warmed up."""
    floors, services = zip(*pairs[1:], strict=True)
    ratio = median(service / floor for floor, service in pairs[1:])
    return {
        "floor": round(median(floors), digits),
        "service": round(median(services), digits),
        "ratio": round(ratio, 3),
    }


def say_round(number: int, floor: float, service: float) -> None:
    """Print how a round went, on standard error."""
    print(f"round {number}: floor {floor:,.1f}/s, service {service:,.1f}/s", file=sys.stderr, flush=True)

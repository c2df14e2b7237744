"""Runs commands as a person would, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_runs import RunCommand

ROOT = Path(__file__).parents[3]


@pytest.fixture
def giftcert(tmp_path: Path) -> RunCommand:
    """Run a command in an empty folder, with no settings but those given."""

    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIFTCERT_")}
        chosen = {f"GIFTCERT_{name.upper()}": value for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, "-m", "giftcert.cli", *arguments],
            env={**clean, **chosen, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run

"""Every branch of the domain is taken by an example, whatever a search happens to find."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]
LARGE = FOLDER / "certificate" / "test_whole_orders.py"
"""It takes no branch that no other does, and much of the time of a measured run."""


@pytest.mark.timeout(300)
def test_every_branch_of_the_domain_is_taken_by_an_example(tmp_path: Path) -> None:
    """In a process of its own: what was imported before a measurement began would count as never run."""
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            str(FOLDER),
            "-q",
            "-n0",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
        ),
        *("-m", "not hypothesis", "--ignore", __file__, "--ignore", str(LARGE)),
        *("--cov=giftcert.domain", "--cov-branch", "--cov-fail-under=100"),
        "--cov-report=term-missing:skip-covered",
    ]
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr

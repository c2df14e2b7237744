"""What is kept: a client erased and the archive checked from the command line, on a running stack."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_runs import RunCommand

pytestmark = pytest.mark.integration


def test_a_client_is_erased_and_the_report_says_what_stays(
    giftcert: RunCommand, running_stack: dict[str, Any]
) -> None:
    """Of a client that nothing is known of yet: whatever comes later is without recipients."""
    state = {"state_dir": running_stack["state"]}
    done = giftcert(
        "erasure", "run", "--client", "C-erased", "--reason", "asked by letter", "--by", "olga", **state
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("client C-erased: no orders, no certificates\n")
    assert done.stdout.endswith("\nNothing is left that has to go.\n")
    for store in ("clients", "order_lines", "inbox", "quarantine", "events, stream", "Temporal", "backups"):
        assert f"\n{store} " in done.stdout
    said = json.loads(giftcert("erasure", "report", "--client", "C-erased", "--json", **state).stdout)
    assert (said["done"], said["clients"], said["certificates"]) == (True, ["C-erased"], [])


def test_an_erasure_needs_a_reason_that_may_be_published(
    giftcert: RunCommand, running_stack: dict[str, Any]
) -> None:
    state = {"state_dir": running_stack["state"]}
    done = giftcert("erasure", "run", "--client", "C-1", "--reason", "write to a@example.org", **state)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_the_archive_says_that_there_is_nothing_yet(
    giftcert: RunCommand, running_stack: dict[str, Any], tmp_path: Path
) -> None:
    options = ("--folder", str(tmp_path / "archive"))
    state = {"state_dir": running_stack["state"]}
    done = giftcert("archive", "write", *options, **state)
    assert (done.returncode, done.stdout) == (0, "nothing to write: no month is new\n")
    done = giftcert("archive", "check", *options, **state)
    assert done.returncode == 1
    assert done.stderr == (
        f"giftcert: {tmp_path}/archive holds no archive: `giftcert archive write` makes it\n"
    )

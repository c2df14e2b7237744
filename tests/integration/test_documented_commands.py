"""The commands that documents name: each exists with its options, and the examples run as they are."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.cli_commands import cli_commands
from tests.embedded_environment import ROOT, embedded_environment
from tests.processes import PATIENCE_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "deploy" / "README.md"]
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN_HERE = ("README.md", "docs/one-event.md", "docs/integration/README.md")
RUN_ELSEWHERE = {
    "make demo ": "tests/e2e/test_demo.py",  # the first block of the README
    "giftcert refunds resolve ": "tests/integration/command_line/test_support_guide.py",
    "giftcert erasure run ": "tests/integration/command_line/test_erasing_and_archiving.py",
    "giftcert archive write ": "tests/integration/command_line/test_erasing_and_archiving.py",
    "giftcert bi load": "tests/e2e/test_demo.py",
    "mvn -q -f docs/integration/kafka-connect": "tests/integration/bi/test_topic_reader.py",
    "docker build -f deploy/Dockerfile ": "tests/image/__main__.py",
    "umask 077": "tests/unit/specs/test_compose.py",
    "kubectl create namespace": "tests/unit/specs/test_chart.py",
    "alias acls=": "tests/integration/command_line/test_topic_rights.py",
}
"""Blocks by how they begin, and the tests that run them, or what they do."""


def blocks(document: Path) -> list[str]:
    return SHELL.findall(document.read_text())


def quoted() -> Iterator[str]:
    """Commands within sentences."""
    for document in DOCUMENTS:
        yield from re.findall(r"`((?:\.venv/bin/)?(?:giftcert|make|python) [^`\n]+)`", document.read_text())


def lines() -> set[str]:
    """All commands of blocks and sentences."""
    found = {line for document in DOCUMENTS for block in blocks(document) for line in block.splitlines()}
    substituted = {inner for line in found for inner in re.findall(r"\$\(([^()]+)\)", line)}
    return {
        line.partition(" #")[0].removeprefix(".venv/bin/").strip(" &")
        for line in {*found, *substituted, *quoted()}
    }


def words(program: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in sorted(lines()) if line.startswith(f"{program} ")]


@pytest.mark.parametrize("arguments", words("make"), ids=" ".join)
def test_make_knows_every_target_that_is_named(arguments: list[str]) -> None:
    done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    makefile = (ROOT / "Makefile").read_text()
    for name in (one.partition("=")[0] for one in arguments if "=" in one):
        assert f"$({name})" in makefile or f"$(if $({name})," in makefile


@pytest.mark.parametrize("arguments", words("python"), ids=" ".join)
def test_every_program_that_is_named_is_there(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        assert find_spec(arguments[1]) is not None
    else:
        assert (ROOT / arguments[0]).exists()


@pytest.mark.parametrize("arguments", words("giftcert"), ids=" ".join)
def test_the_command_line_knows_every_option_that_is_named(arguments: list[str]) -> None:
    commands, named = cli_commands(), [one for one in arguments[:2] if not one.startswith("-")]
    command = commands.get(" ".join(named)) or commands.get("".join(named[:1]))
    parameters = command.params if command else ()  # of a group, or of none, only help is asked
    known = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
    assert {one.partition("=")[0] for one in arguments if one.startswith("-")} <= known | {"--json", "--help"}
    groups = {name.partition(" ")[0] for name in commands if " " in name}
    assert command or not named or (len(named) == 1 and named[0] in groups)


def test_every_example_is_run_by_a_test() -> None:
    begun = {block for document in DOCUMENTS for block in blocks(document)}
    here = {block for name in RUN_HERE for block in blocks(ROOT / name)}
    left = {block for block in begun - here if not block.startswith(tuple(RUN_ELSEWHERE))}
    assert {block for block in left if "make up &" not in block} == set()  # the same in Russian
    assert [name for name in RUN_ELSEWHERE.values() if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", RUN_HERE)
def test_an_example_runs_as_it_is(name: str, running_stack: dict[str, Any]) -> None:
    environment = embedded_environment() | {
        "GIFTCERT_STATE_DIR": running_stack["state"],
        "PARTNER_API": running_stack["api_url"],
        "PARTNER_KAFKA": running_stack["kafka_bootstrap_servers"],
    }
    [block] = [one for one in blocks(ROOT / name) if "make up" in one]
    commands = [line for line in block.splitlines() if not line.startswith("make up")]  # it runs
    output = ""
    for number, command in enumerate(commands):
        [certificate] = re.findall(r"certificate ([0-9a-f-]{36})", output) or [""]
        commands[number] = command.replace("CERTIFICATE", certificate)
        if command.startswith((".venv", "curl")):
            script = "\n".join(["set -euo pipefail", *commands[: number + 1]])
            output = shell(script, environment)
            commands[number] = ":"
    assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-", output), output


def shell(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

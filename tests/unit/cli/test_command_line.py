"""The commands as a whole: what the help lists, what loading it costs, and what all of them have."""

import subprocess
import sys

import pytest

from giftcert.cli import COMMANDS
from giftcert.cli.errors import CommandError, exit_code_of
from tests.cli_commands import cli_commands

HEAVY = (
    "asyncpg",
    "aiokafka",
    "confluent_kafka",
    "temporalio",
    "fastapi",
    "pydantic",
    "rich",
    "httpx",
    "uvloop",
)


def test_the_help_loads_no_command_and_none_of_what_they_need() -> None:
    script = (
        "import sys; from giftcert.cli import _run; _run(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert loaded & {*HEAVY, *(f"giftcert.cli.{module}" for module, _ in COMMANDS.values())} == set()
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_every_command_has_json() -> None:
    having = {
        name: "--json" in [opt for one in command.params for opt in one.opts]
        for name, command in cli_commands().items()
    }
    assert [name for name, has_it in having.items() if not has_it] == []


def test_no_help_is_cut() -> None:
    shown = [
        command.get_help(command.make_context(name, [], resilient_parsing=True))
        for name, command in cli_commands().items()
    ]
    assert [one for one in shown if "..." in one.replace("[ARGS]...", "")] == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CommandError("there is no batch 7"), "there is no batch 7"),
        (KeyError("x"), "this failed for an unforeseen reason ('x'); --debug shows where"),
        (ValueError(""), "this failed for an unforeseen reason; --debug shows where"),
        (TimeoutError(), "there was no answer in time"),
        (FileNotFoundError(2, "No such file or directory", "a.json"), "a.json: No such file or directory"),
        (
            ExceptionGroup("several", [RuntimeError("first"), RuntimeError("second")]),
            "this failed for an unforeseen reason (first); --debug shows where",
        ),
    ],
)
def test_no_message_is_the_name_of_a_class(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(error, debug=False) == 1
    assert capsys.readouterr().err == f"giftcert: {line}\n"

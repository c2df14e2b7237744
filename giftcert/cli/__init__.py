"""The command line ``giftcert``: a module for each command or group of them, which is loaded when it runs.

A command that fails says why in one line and ends non-zero.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

import typer
from typer.main import get_command, get_group

from giftcert.cli.errors import exit_code_of
from giftcert.cli.groups import Group

if TYPE_CHECKING:  # typer has no public name for them
    from typer._click import Command, Context

COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("up", "Start the whole stack here, until Ctrl-C."),
    "status": ("status", "Show how the running stack is: parts, lag, pool, refunds, quarantine."),
    "addresses": ("status", "Print where the parts of the running stack are."),
    "token": ("keys", "Sign a token with the key of the embedded stack."),
    "demo": ("demo", "Sell, cancel and refund in both channels and check the outcome."),
    "trace": ("trace", "Show the life of a certificate, step by step."),
    "refunds": ("refunds", "Refund cases that wait for a person."),
    "quarantine": ("quarantine", "Records that could not be applied."),
    "pool": ("pool", "What there is to sell."),
    "verify": ("verify", "Check the ten invariants over database, stream and workflows."),
    "deploy": ("deploy", "Builds of the workers: which one leads the certificates."),
    "recover": ("recover", "Bring database, stream and workflows together after a restore or a loss."),
    "bi": ("bi", "Figures out of the topics: a file of DuckDB, Parquet, a report."),
    "keys": ("keys", "The keys that seal CVCs and sign tokens."),
    "codec": ("codec", "Encrypted payloads in Temporal's histories."),
    "archive": ("archive", "Events of past months as files of Parquet."),
    "erasure": ("erasure", "What is stored of a client, and its erasure."),
    "config": ("config", "Show every setting with its value."),
    "migrate": ("setup", "Bring the tables to the newest revision."),
    "setup": ("setup", "Make topics, namespace, search attributes, schedules and products."),
    "api": ("services", "Answer channels, CRM and support over HTTP."),
    "worker": ("services", "Run the certificates' workflows and their activities."),
    "ingest": ("services", "Read orders, payments and clients from Kafka."),
    "dispatch": ("services", "Publish what is committed to the stream."),
}
"""The module that has each command, and what the help says of it without loading that."""
_HIDDEN = {"prepare": "setup"}
_HELP = "Gift-certificate processing. `giftcert up` starts everything here; nothing needs to be set for that."


class LazyGroup(Group):
    """Loads the module of a command when it is asked for by name, and none to list what there is."""

    def list_commands(self, ctx: "Context") -> list[str]:  # noqa: ARG002 - typer's shape
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":  # noqa: ARG002
        """Load a command."""
        module = _HIDDEN.get(cmd_name) or COMMANDS.get(cmd_name, (None,))[0]
        if module is None:
            return None
        loaded = typer.Typer(rich_markup_mode=None)
        loaded.add_typer(import_module(f"giftcert.cli.{module}").app)
        return get_group(loaded).commands[cmd_name]

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> tuple[str | None, "Command | None", list[str]]:
        """Find the command that the arguments begin with, or say which one may be meant."""
        near = [] if args[0] in {*COMMANDS, *_HIDDEN} else get_close_matches(args[0], COMMANDS)
        if near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def summaries(self, ctx: "Context") -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Yield each command with what the help says of it."""
        return ((name, about) for name, (_, about) in COMMANDS.items())


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code.

    temporalio 1.35 now and then crashes a plain exit of the interpreter, which would turn a good exit code into
    a bad one; see docs/adr/0053-commands-end-by-os-exit.md.
    """
    arguments = sys.argv[1:]
    try:
        code = _run([argument for argument in arguments if argument != "--debug"])
    except BaseException as error:  # noqa: BLE001 - whatever it is becomes one line and an exit code
        code = exit_code_of(error, debug="--debug" in arguments)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or a pipe whose reader has gone
            stream.flush()
    os._exit(code)


def command_line() -> "Command":
    """Return the command with all others beneath it."""
    app = typer.Typer(
        cls=LazyGroup,
        help=_HELP,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    return get_command(app)


def _run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    code = command_line().main(args=list(arguments), prog_name="giftcert", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the whole trace of a failure"),
) -> None:
    """Name the option that `main` takes out, for the help."""

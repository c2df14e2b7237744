"""The command line ``giftcert``: a module for each command or group of them, of which only the one asked for is loaded.

A command that fails says why in one line and ends non-zero.
"""

import logging
import os
import sys
from contextlib import suppress
from importlib import import_module

import typer
from typer.main import get_command

from giftcert.cli.errors import exit_code_of

COMMANDS = {
    "up": ("up",),
    "demo": ("demo",),
    "services": ("api", "worker", "ingest", "dispatch"),
    "setup": ("migrate", "setup", "prepare"),
    "pool": ("pool",),
    "keys": ("keys", "token"),
    "codec": ("codec",),
    "refunds": ("refunds",),
    "quarantine": ("quarantine",),
    "trace": ("trace",),
    "verify": ("verify",),
    "config": ("config",),
}
"""By the modules that have them."""
_HELP = "Gift-certificate processing. `giftcert up` starts everything here; nothing needs to be set for that."


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


def _run(arguments: list[str]) -> int:
    """Run one command and return its exit code; unless it is named, all are loaded to say what there is."""
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    modules = [module for module, commands in COMMANDS.items() if named in commands] or COMMANDS
    app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_options)
    for module in modules:
        app.add_typer(import_module(f"giftcert.cli.{module}").app)
    code = get_command(app).main(args=arguments, prog_name="giftcert", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the whole trace of a failure"),
) -> None:
    """Name the option that `main` takes out, for the help."""

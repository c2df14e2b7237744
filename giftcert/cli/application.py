"""The commands, and the module of each."""

from importlib import import_module

import typer
from typer.main import get_command

MODULES = {
    "up": "up",
    "demo": "demo",
    "api": "services",
    "worker": "services",
    "ingest": "services",
    "dispatch": "services",
    "migrate": "setup",
    "setup": "setup",
    "prepare": "setup",
    "pool": "pool",
    "token": "keys",
    "keys": "keys",
    "refunds": "refunds",
    "quarantine": "quarantine",
    "trace": "trace",
    "verify": "verify",
    "config": "config",
}
HELP = "Gift-certificate processing. `giftcert up` starts everything here; nothing needs to be set for that."


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; unless it is named, all are loaded to say what there is.

    Raises:
        Exception: the command failed.
    """
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    modules = [MODULES[named]] if named in MODULES else dict.fromkeys(MODULES.values())
    app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_options)
    for module in modules:
        app.add_typer(import_module(f"giftcert.cli.{module}").app)
    code = get_command(app).main(args=arguments, prog_name="giftcert", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the whole trace of a failure"),
) -> None:
    """Gift-certificate processing."""

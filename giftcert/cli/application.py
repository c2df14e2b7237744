"""All commands together, each loaded when it is named."""

from importlib import import_module

import typer
from typer.main import get_command

COMMANDS = {
    "up": ("up",),
    "demo": ("demo",),
    "services": ("api", "worker", "ingest", "dispatch"),
    "setup": ("migrate", "setup", "prepare"),
    "pool": ("pool",),
    "keys": ("keys", "token"),
    "refunds": ("refunds",),
    "quarantine": ("quarantine",),
    "trace": ("trace",),
    "verify": ("verify",),
    "config": ("config",),
}
"""By the modules that have them."""
HELP = "Gift-certificate processing. `giftcert up` starts everything here; nothing needs to be set for that."


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; unless it is named, all are loaded to say what there is.

    Raises:
        Exception: the command failed.
    """
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    modules = [module for module, commands in COMMANDS.items() if named in commands] or COMMANDS
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

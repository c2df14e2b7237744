"""All commands together."""

import typer
from typer.main import get_command

from giftcert.cli import (
    config,
    demo,
    keys,
    migrate,
    pool,
    quarantine,
    refunds,
    services,
    setup,
    token,
    trace,
    up,
    verify,
)

HELP = "Gift-certificate processing. `giftcert up` starts everything here; nothing needs to be set for that."


def application() -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_options)
    app.command()(up.up)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(demo.demo)
    for service in (services.api, services.worker, services.ingest, services.dispatch):
        app.command()(service)
    app.command()(migrate.migrate)
    app.command(name="setup")(setup.setup_command)
    app.command(hidden=True)(setup.prepare)
    app.add_typer(pool.app, name="pool")
    app.command()(token.token)
    app.add_typer(keys.app, name="keys")
    app.add_typer(refunds.app, name="refunds")
    app.add_typer(quarantine.app, name="quarantine")
    app.command()(trace.trace)
    app.command()(verify.verify)
    app.command()(config.config)
    return app


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code.

    Raises:
        Exception: the command failed.
    """
    command = get_command(application())
    code = command.main(args=arguments, prog_name="giftcert", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the whole trace of a failure"),
) -> None:
    """Gift-certificate processing."""

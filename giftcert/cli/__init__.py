"""The command line ``giftcert``: one module per command, each loading what it needs only when it runs."""

import sys


def main() -> None:
    """Run the command that the arguments name and end the process."""
    from giftcert.cli.errors import exit_code_of
    from giftcert.cli.process_exit import leave

    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        from giftcert.cli.application import run

        code = run(arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is becomes one line and an exit code
        code = exit_code_of(error, debug=debug)
    leave(code)

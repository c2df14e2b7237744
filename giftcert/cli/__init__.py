"""The command line ``giftcert``: a module for each command or group of them, of which only the one asked for is loaded.

A command that fails says why in one line and ends non-zero.
"""

import logging
import os
import sys
from contextlib import suppress

from giftcert.cli.application import run
from giftcert.cli.errors import exit_code_of


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code.

    temporalio 1.35 now and then crashes a plain exit of the interpreter, which would turn a good exit code into
    a bad one; see docs/adr/0053-commands-end-by-os-exit.md.
    """
    arguments = sys.argv[1:]
    try:
        code = run([argument for argument in arguments if argument != "--debug"])
    except BaseException as error:  # noqa: BLE001 - whatever it is becomes one line and an exit code
        code = exit_code_of(error, debug="--debug" in arguments)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or a pipe whose reader has gone
            stream.flush()
    os._exit(code)

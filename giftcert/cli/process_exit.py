"""How a command ends."""

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process at once with this code, after flushing.

    temporalio 1.35 now and then crashes a plain exit of the interpreter, which would turn a good exit code into
    a bad one; see docs/adr/0053-commands-end-by-os-exit.md.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or a pipe whose reader has gone
            stream.flush()
    os._exit(code)

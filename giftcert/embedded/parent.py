"""How a part notices that its supervisor is gone, even when that was killed with -9.

Two ways, because neither is enough: a pipe on standard input that closes with the supervisor (any system,
only for programs of our own), and the signal that Linux sends to a child when its parent dies.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

LIFELINE_VARIABLE = "GIFTCERT_LIFELINE"
GO = b"go\n"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def signal_when_parent_dies(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """Return what a child runs before its program starts, or None where the system cannot do it.

    It must run after the child's user was changed, which clears the request; ``subprocess`` does so.
    """
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def request() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent:  # the parent died before the request
            os.kill(os.getpid(), signal.SIGKILL)

    return request


class Lifeline:
    """The pipe from the supervisor: first its word to start, then silence until it is gone."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cut = asyncio.Event()

    async def watch(self) -> None:
        """Read standard input until it closes; the supervisor never writes more than the word to start.

        A process that no supervisor started may start at once, and nothing cuts its line.
        """
        if os.environ.get(LIFELINE_VARIABLE) != "stdin":
            self.started.set()
            return
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        with suppress(ConnectionError):
            while line := await reader.readline():
                if line == GO:
                    self.started.set()
        transport.close()
        self.cut.set()

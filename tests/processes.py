"""Whether processes have ended, and waiting for that."""

import asyncio
import os
import time
from collections.abc import Callable

import psutil

from giftcert.embedded.ports import PortClaims
from tests.waiting import until

PATIENCE_SECONDS = 90
"""Nothing takes so long; a machine that is busy with other things may."""


def has_ended(process: psutil.Process) -> bool:
    """Return whether the process is gone, but perhaps for its entry in the table."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def promised(seconds: float, began: float) -> bool:
    """Return whether so much time at most has passed since ``began``, on the monotonic clock.

    A promise is for a machine that does nothing else: while more processes want to run than there are processors,
    ours waits for them.
    """
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return time.monotonic() - began <= seconds * max(1, waiting)


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with PortClaims() as claims:
        return claims.free()


async def holds(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await until(lambda: bool(condition()))

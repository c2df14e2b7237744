"""Runs the asynchronous work of a command, until it is done or somebody ends it."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from giftcert.cli.errors import INTERRUPTED
from giftcert.embedded.parent import Lifeline

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


def run_to_end(work: Work) -> None:
    """Run work that ends by itself; a signal, or the supervisor's end, cancels it.

    Raises:
        KeyboardInterrupt: it was cancelled.
        Exception: it failed.
    """
    if asyncio.run(_until_done_or_told(work, insist=True)):
        raise KeyboardInterrupt


def run_until_told(work: Work, *, insist: bool = True, loop: LoopFactory | None = None) -> None:
    """Run work that goes on until it is told to end, which is its success.

    Args:
        work: is cancelled by the first SIGINT or SIGTERM and cleans up before it ends.
        insist: a second signal ends the process at once.
        loop: makes the event loop; asyncio's own by default.

    Raises:
        Exception: it failed.
    """
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_until_done_or_told(work, insist=insist))


async def _until_done_or_told(work: Work, *, insist: bool) -> bool:
    """Return whether the work was cancelled from outside."""
    lifeline = Lifeline()
    _hear_signals(lifeline.cut, insist=insist)
    watch = asyncio.create_task(lifeline.watch())
    task = asyncio.create_task(_when_started(lifeline, work))
    cut = asyncio.create_task(lifeline.cut.wait())
    await asyncio.wait({task, cut}, return_when=asyncio.FIRST_COMPLETED)
    told = not task.done()
    if told:
        task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
    finally:
        watch.cancel()
        cut.cancel()
    return told


async def _when_started(lifeline: Lifeline, work: Work) -> None:
    await lifeline.started.wait()
    await work()


def _hear_signals(told: asyncio.Event, *, insist: bool) -> None:
    def hear() -> None:
        if told.is_set() and insist:
            os._exit(INTERRUPTED)
        told.set()

    for stop_signal in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop_signal, hear)

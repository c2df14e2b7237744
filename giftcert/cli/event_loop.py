"""Runs the asynchronous work of a command, until it is done or somebody ends it."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

from giftcert.cli.errors import INTERRUPTED
from giftcert.embedded.parent import Lifeline

P = ParamSpec("P")
T = TypeVar("T")
Work: TypeAlias = Callable[[], Coroutine[Any, Any, T]]
LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


def to_its_end(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a command of work that ends by itself; a signal, or the supervisor's end, cancels it.

    Raises:
        KeyboardInterrupt: it was cancelled.
        Exception: it failed.
    """

    @wraps(work)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        task = asyncio.run(_until_done_or_stopped(lambda: work(*arguments, **options), insist=True))
        if task.cancelled():
            raise KeyboardInterrupt
        return task.result()

    return run


def run_until_stopped(work: Work[None], *, insist: bool = True, loop: LoopFactory | None = None) -> None:
    """Run work that goes on until it is stopped, which is its success.

    Args:
        work: is cancelled by the first SIGINT or SIGTERM and cleans up before it ends.
        insist: a second signal ends the process at once.
        loop: makes the event loop; asyncio's own by default.

    Raises:
        Exception: it failed.
    """
    with asyncio.Runner(loop_factory=loop) as runner:
        task = runner.run(_until_done_or_stopped(work, insist=insist))
    if not task.cancelled():
        task.result()


async def _until_done_or_stopped(work: Work[T], *, insist: bool) -> asyncio.Task[T]:
    """Return the work: done, failed, or cancelled from outside."""
    lifeline = Lifeline()
    _hear_signals(lifeline.cut, insist=insist)
    watch = asyncio.create_task(lifeline.watch())
    task = asyncio.create_task(_when_started(lifeline, work))
    cut = asyncio.create_task(lifeline.cut.wait())
    await asyncio.wait({task, cut}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()  # does nothing to one that is done
    await asyncio.wait({task})
    watch.cancel()
    cut.cancel()
    return task


async def _when_started(lifeline: Lifeline, work: Work[T]) -> T:
    await lifeline.started.wait()
    return await work()


def _hear_signals(stopped: asyncio.Event, *, insist: bool) -> None:
    def hear() -> None:
        if stopped.is_set() and insist:
            os._exit(INTERRUPTED)
        stopped.set()

    for stop_signal in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop_signal, hear)

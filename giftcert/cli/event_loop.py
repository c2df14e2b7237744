"""Runs the asynchronous work of a command, until it is done or somebody ends it."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

from giftcert.cli.errors import INTERRUPTED
from giftcert.embedded.keeper import GO, LIFELINE_VARIABLE

P = ParamSpec("P")
T = TypeVar("T")
Work: TypeAlias = Callable[[], Coroutine[Any, Any, T]]
LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]
"""By default asyncio's own."""


def to_its_end(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a command of work that ends by itself; a signal, or the supervisor's end, interrupts it."""

    @wraps(work)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        task = asyncio.run(_until_done_or_stopped(lambda: work(*arguments, **options), insist=True))
        if task.cancelled():
            raise KeyboardInterrupt
        return task.result()

    return run


def run_until_stopped(work: Work[None], *, insist: bool = True, loop: LoopFactory | None = None) -> None:
    """Run work that goes on until it is stopped, which is its success.

    The first SIGINT or SIGTERM cancels it, and it cleans up; with ``insist`` a second ends the process at once.
    """
    with asyncio.Runner(loop_factory=loop) as runner:
        task = runner.run(_until_done_or_stopped(work, insist=insist))
    if not task.cancelled():
        task.result()


async def _until_done_or_stopped(work: Work[T], *, insist: bool) -> asyncio.Task[T]:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def work_when_started() -> T:
        await started.wait()
        return await work()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            task.cancel()

    def hear_signal() -> None:
        if stopped.is_set() and insist:
            os._exit(INTERRUPTED)
        stop()

    task = asyncio.create_task(work_when_started())
    loop = asyncio.get_running_loop()
    for stop_signal in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop_signal, hear_signal)
    if os.environ.get(LIFELINE_VARIABLE) == "stdin":
        loop.add_reader(sys.stdin, _listen_to_supervisor, started.set, stop)
    else:
        started.set()
    await asyncio.wait({task})
    return task


def _listen_to_supervisor(start: Callable[[], None], stop: Callable[[], None]) -> None:
    """Read the lifeline: the supervisor writes the word to start, and never anything else until it is gone."""
    if os.read(sys.stdin.fileno(), len(GO)):
        start()
        return
    asyncio.get_running_loop().remove_reader(sys.stdin)
    stop()

"""Keeps one part running: starts it, says when it is ready or dead, and starts it again with back-off."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from giftcert.embedded.errors import StackError
from giftcert.embedded.programs import Program, RunningProgram
from giftcert.embedded.readiness import until

Report: TypeAlias = Callable[[str, str], None]
"""Says one line about a part: its name, then what happened."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_CALM_SECONDS = 60.0


class Keeper:
    """One part of the stack and the process that is it just now.

    ``lost`` is set when the part died and no other process can take its place.
    """

    def __init__(self, program: Program, run_folder: Path, report: Report) -> None:
        self.program = program
        self._run_folder = run_folder
        self._report = report
        self._running: RunningProgram | None = None
        self._watch: asyncio.Task[None] | None = None
        self._launched_at = 0.0
        self._delay = _FIRST_DELAY
        self.lost = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The id of the process that is running now."""
        running = self._running
        return running.process.pid if running and running.process.returncode is None else None

    async def launch(self) -> None:
        """Start the process; one with a lifeline loads its modules and waits for ``make_ready``.

        Raises:
            StackError: it cannot be executed.
        """
        self._launched_at = time.monotonic()
        try:
            self._running = await RunningProgram.launch(self.program, self._run_folder)
        except OSError as error:
            raise StackError(f"{self.program.name} cannot be started: {error}") from error

    async def make_ready(self) -> None:
        """Let the process start its work, wait until it is ready, and keep it running from then on.

        Raises:
            StackError: it died first or took too long.
        """
        running = self._running
        if running is None:
            raise StackError(f"{self.program.name} was not launched")
        running.let_start()
        await self._await_ready(running)
        self._watch = asyncio.create_task(self._keep(running), name=f"keep {self.program.name}")

    async def stop(self, grace: float) -> None:
        """End the process for good; ``grace`` in seconds as in `RunningProgram.stop`."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._running is not None and await self._running.stop(grace):
            self._report(self.program.name, f"killed: it did not end within {grace:.0f} s")

    async def _await_ready(self, running: RunningProgram) -> None:
        ready = asyncio.create_task(until(self.program.is_ready))
        ended = asyncio.create_task(running.wait())
        try:
            await asyncio.wait(
                {ready, ended}, timeout=self.program.ready_within, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                raise StackError(
                    f"{self.program.name} {self._how_it_ended(ended.result())} before it was ready"
                )
            if not ready.done():
                seconds = self.program.ready_within
                raise StackError(
                    f"{self.program.name} was not ready within {seconds:.0f} s{self._last_words()}"
                )
            ready.result()
        finally:
            ready.cancel()
            ended.cancel()
        seconds = time.monotonic() - self._launched_at
        self._report(self.program.name, f"ready  {self.program.shown_address()}  {seconds:.1f} s")

    async def _keep(self, running: RunningProgram) -> None:
        while True:
            code = await running.wait()
            if not self.program.replaceable:
                self._report(self.program.name, self._how_it_ended(code))
                self.lost.set()
                return
            delay = self._next_delay()
            self._report(self.program.name, f"{self._how_it_ended(code)}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            running = await self._restart(running)

    async def _restart(self, last: RunningProgram) -> RunningProgram:
        await last.stop(0)  # its descendants
        try:
            await self.launch()
        except StackError as error:
            self._report(self.program.name, str(error))
            return last
        running = self._running
        assert running is not None  # noqa: S101 - launch has just set it
        running.let_start()
        try:
            await self._await_ready(running)
        except StackError as error:
            if running.process.returncode is None:
                self._report(self.program.name, str(error))
                await running.stop(1)
        return running

    def _next_delay(self) -> float:
        calm = time.monotonic() - self._launched_at > _CALM_SECONDS
        delay = _FIRST_DELAY if calm else self._delay
        self._delay = min(delay * 2, _LONGEST_DELAY)
        return delay

    def _how_it_ended(self, code: int) -> str:
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"  # its last words are about something else
        return f"ended with {code}{self._last_words()}"

    def _last_words(self) -> str:
        line = self.program.last_line()
        return f" ({line})" if line else ""

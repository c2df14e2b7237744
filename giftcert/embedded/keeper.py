"""Keeps one part running: starts it, says when it is ready or dead, and starts it again with back-off."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from giftcert.embedded.errors import StackError
from giftcert.embedded.programs import Program, RunningProgram
from giftcert.embedded.readiness import until
from giftcert.embedded.state_folder import StateFolder

Report: TypeAlias = Callable[[str, str], None]
"""Says one line about a part: its name, then what happened."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_CALM_SECONDS = 60.0


class Keeper:
    """One part of the stack and the process that is it just now.

    ``on_lost`` is called with its name when it died and no other process can take its place.
    """

    def __init__(
        self,
        program: Program,
        state: StateFolder,
        report: Report,
        on_lost: Callable[[str], None] = lambda _part: None,
    ) -> None:
        self.program = program
        self.running: RunningProgram | None = None
        self._on_lost = on_lost
        self._state = state
        self._report = report
        self._watch: asyncio.Task[None] | None = None
        self._launched_at = 0.0
        self._delay = _FIRST_DELAY

    async def launch(self) -> RunningProgram:
        """Start the process; one with a lifeline loads its modules and waits for `make_ready`.

        Raises:
            StackError: it cannot be executed.
        """
        self._launched_at = time.monotonic()
        try:
            self.running = await RunningProgram.launch(self.program, self._state)
        except OSError as error:
            raise StackError(f"{self.program.name} cannot be started: {error}") from error
        return self.running

    async def make_ready(self) -> None:
        """Let the process start its work, wait until it is ready, and keep it running from then on.

        Raises:
            StackError: it died first or took too long.
        """
        running = self.running or await self.launch()
        await self._await_ready(running)
        self._watch = asyncio.create_task(self._keep(running), name=f"keep {self.program.name}")

    async def stop(self, grace: float) -> None:
        """End the process for good; ``grace`` in seconds as in `RunningProgram.stop`."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self.running is not None and await self.running.stop(grace):
            self._report(self.program.name, f"killed: it did not end within {grace:.0f} s")

    async def _await_ready(self, running: RunningProgram) -> None:
        program = self.program
        running.let_start()
        ready = asyncio.create_task(until(program.is_ready))
        ended = asyncio.create_task(running.wait())
        try:
            await asyncio.wait(
                {ready, ended}, timeout=program.ready_within, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                raise StackError(f"{program.name} {running.how_it_ended()} before it was ready")
            if not ready.done():
                words = f" ({line})" if (line := running.last_line()) else ""
                raise StackError(f"{program.name} was not ready within {program.ready_within:.0f} s{words}")
            ready.result()
        finally:
            ready.cancel()
            ended.cancel()
        address = program.address if isinstance(program.address, str) else program.address()
        self._report(program.name, f"ready  {address}  {time.monotonic() - self._launched_at:.1f} s")

    async def _keep(self, running: RunningProgram) -> None:
        while True:
            await running.wait()
            if not self.program.replaceable:
                self._report(self.program.name, running.how_it_ended())
                self._on_lost(self.program.name)
                return
            delay = self._next_delay()
            self._report(self.program.name, f"{running.how_it_ended()}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            running = await self._restart(running)

    async def _restart(self, last: RunningProgram) -> RunningProgram:
        """Return the process that is ready, or one that has ended."""
        await last.stop(0)  # its descendants
        try:
            running = await self.launch()
        except StackError as error:
            self._report(self.program.name, str(error))
            return last
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

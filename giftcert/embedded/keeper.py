"""Keeps one part running: what to run, how to tell that it is ready, how to end it for certain."""

import asyncio
import json
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from giftcert.embedded.guardian import PidFile, family_of, kill
from giftcert.embedded.state_folder import StackError, StateFolder

LIFELINE_VARIABLE = "GIFTCERT_LIFELINE"
GO = b"go\n"
Report: TypeAlias = Callable[[str, str], None]
"""Says one line about a part: its name, then what happened."""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_CALM_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_SHORT_GRACE_SECONDS = 0.5


def silent(_part: str, _line: str) -> None:
    """Report nothing."""


async def _at_once() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """What to run for a part, and how to tell that it is ready.

    ``lifeline`` is for programs of our own: they wait on standard input for the word to start, and end when
    it closes, which it does with the supervisor, even one that was killed.
    """

    name: str
    command: tuple[str, ...]
    address: str | Callable[[], str] = ""  # a function where only the ready program knows it
    is_ready: Callable[[], Awaitable[bool]] = _at_once
    ready_within: float = 60.0  # seconds
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    folder: Path | None = None  # to run in
    stop_signal: signal.Signals = signal.SIGTERM
    lifeline: bool = False
    replaceable: bool = True  # a new process can take the place of a dead one


class Keeper:
    """One part of the stack and the process that is it just now; its output is appended to the part's log.

    ``on_lost`` is called with its name when it died and no other process can take its place.
    """

    def __init__(
        self,
        program: Program,
        state: StateFolder,
        report: Report = silent,
        on_lost: Callable[[str], None] = lambda _part: None,
    ) -> None:
        self._program = program
        self._state = state
        self._report = report
        self._on_lost = on_lost
        self._log = state.logs / f"{program.name}.log"
        self._log_start = 0
        self._launched_at = 0.0
        self._delay = _FIRST_DELAY
        self._watch: asyncio.Task[None] | None = None
        self._record: Path | None = None
        self._failed_look = ""
        self.process: Process | None = None

    async def launch(self) -> Process:
        """Start the process; one with a lifeline loads its modules and waits for the word to start."""
        program = self._program
        self._launched_at = time.monotonic()
        lifeline = {LIFELINE_VARIABLE: "stdin" if program.lifeline else ""}
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self.process = await asyncio.create_subprocess_exec(
                    *program.command,
                    stdin=PIPE if program.lifeline else DEVNULL,
                    stdout=log,
                    stderr=STDOUT,
                    env={**os.environ, **program.environment, **lifeline},
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone
                    cwd=program.folder or ("/" if program.user else None),  # another user may not see ours
                    user=program.user,
                    group=program.user,
                    extra_groups=[] if program.user else None,
                )
            except OSError as error:
                raise StackError(f"{program.name} cannot be started: {error}") from error
        record = PidFile.of(program.name, self.process.pid, program.stop_signal)
        try:
            self._record = record.save(self._state.run) if record else None
        except OSError as error:  # the disk is full: whoever came after us would not find it
            await self._end(self.process, _SHORT_GRACE_SECONDS)
            raise StackError(f"{program.name} cannot be recorded: {error.strerror}") from error
        return self.process

    async def make_ready(self) -> None:
        """Let the process start its work, wait until it is ready, and keep it running from then on.

        `StackError` where it dies first or takes too long.
        """
        process = self.process or await self.launch()
        await self._await_ready(process)
        self._watch = asyncio.create_task(self._keep(process), name=f"keep {self._program.name}")

    async def finish(self) -> tuple[int, str]:
        """Let the process do its work to the end; return its exit code and what it said."""
        process = self.process or await self.launch()
        self._let_start(process)
        try:
            return await self._wait(process), self._output()
        finally:
            await self.stop(_SHORT_GRACE_SECONDS)

    async def stop(self, grace: float) -> None:
        """End the process for good and all that it started; after ``grace`` seconds it is killed."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self.process is not None and await self._end(self.process, grace):
            self._report(self._program.name, f"killed: it did not end within {grace:.0f} s")

    def last_line(self) -> str:
        """Return the last thing that the process said."""
        lines = self._output().splitlines()
        return _message(lines[-1])[-300:] if lines else ""

    def _output(self) -> str:
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace").strip()
        return ""

    def _let_start(self, process: Process) -> None:
        if process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(GO)

    async def _wait(self, process: Process) -> int:
        code = await process.wait()
        if self._record is not None:
            self._record.unlink(missing_ok=True)
        return code

    async def _end(self, process: Process, grace: float) -> bool:
        """End a process and its descendants; return whether it had to be killed."""
        if process.returncode is not None:
            return False
        family, killed = family_of(process.pid), False
        try:
            async with asyncio.timeout(grace):
                process.send_signal(self._program.stop_signal)
                await self._wait(process)
        except TimeoutError:
            killed = True
        kill(family)
        await self._wait(process)
        return killed

    async def _await_ready(self, process: Process) -> None:
        program, self._failed_look = self._program, ""
        self._let_start(process)
        try:
            async with asyncio.timeout(program.ready_within):
                while not await self._is_ready() and process.returncode is None:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            words = f" ({line})" if (line := self._failed_look or self.last_line()) else ""
            raise StackError(
                f"{program.name} was not ready within {program.ready_within:.0f} s{words}"
            ) from None
        if process.returncode is not None:
            raise StackError(f"{program.name} {await self._ended(process)} before it was ready")
        address = program.address if isinstance(program.address, str) else program.address()
        self._report(program.name, f"ready  {address}  {time.monotonic() - self._launched_at:.1f} s")

    async def _is_ready(self) -> bool:
        """Whatever a look at it fails with, as where it dies in the middle of one: then it is not ready."""
        try:
            return await self._program.is_ready()
        except Exception as error:  # noqa: BLE001 - a part that nobody keeps any more would stay dead
            self._failed_look = str(error)
            return False

    async def _keep(self, process: Process) -> None:
        name = self._program.name
        while True:
            how = await self._ended(process)
            if not self._program.replaceable:
                self._report(name, how)
                self._on_lost(name)
                return
            delay = self._next_delay()
            self._report(name, f"{how}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            try:
                process = await self.launch()
                await self._await_ready(process)
            except StackError as error:
                self._report(name, str(error))
                await self._end(process, _SHORT_GRACE_SECONDS)

    async def _ended(self, process: Process) -> str:
        """Return how the process has ended, once it has."""
        code = await self._wait(process)
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"  # its last words are about something else
        words = f" ({line})" if (line := self.last_line()) else ""
        return f"ended with {code}{words}"

    def _next_delay(self) -> float:
        calm = time.monotonic() - self._launched_at > _CALM_SECONDS
        delay = _FIRST_DELAY if calm else self._delay
        self._delay = min(delay * 2, _LONGEST_DELAY)
        return delay


def _message(line: str) -> str:
    """Return what a line of a log says; processes of ours write JSON."""
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(line)["event"])
    return line

"""One part of the stack as a process: what to run, how to start it, how to end it for certain."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from giftcert.embedded import pid_files
from giftcert.embedded.parent import GO, LIFELINE_VARIABLE, signal_when_parent_dies


async def at_once() -> bool:
    """Say that a program needs no time to get ready."""
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """What to run for a part, and how to tell that it is ready.

    ``lifeline`` is for programs of our own: they wait on standard input for the word to start, and end when
    it closes. ``ready_within`` is in seconds. ``replaceable``: a new process can take the place of a dead one.
    ``address`` is a function where only the ready program knows it.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    address: str | Callable[[], str] = ""
    is_ready: Callable[[], Awaitable[bool]] = at_once
    ready_within: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    lifeline: bool = False
    replaceable: bool = True
    outlives_parent: bool = False

    def shown_address(self) -> str:
        """Return where a person reaches the program that is ready now."""
        return self.address if isinstance(self.address, str) else self.address()

    def last_line(self) -> str:
        """Return the last thing the program said, to show beside its death."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            return lines[-1][-300:] if lines else ""
        return ""


class RunningProgram:
    """A started program, in a session of its own so that Ctrl-C reaches the supervisor alone."""

    def __init__(self, program: Program, process: Process, record: Path | None) -> None:
        self.program = program
        self.process = process
        self._record = record

    @classmethod
    async def launch(cls, program: Program, run_folder: Path) -> "RunningProgram":
        """Start the program with its output appended to its log.

        Raises:
            OSError: the program cannot be executed.
        """
        with program.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=PIPE if program.lifeline else DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,
                env=_environment(program),
                preexec_fn=_before_start(program),
                user=program.user,
                group=program.user,
                extra_groups=None if program.user is None else [],
            )
        record = pid_files.PidFile.of(program.name, process.pid, program.stop_signal)
        return cls(program, process, record.save(run_folder) if record else None)

    def let_start(self) -> None:
        """Give a program with a lifeline the word to start."""
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write(GO)

    async def wait(self) -> int:
        """Return the exit code once the program has ended; negative is the signal that ended it."""
        code = await self.process.wait()
        if self._record is not None:
            self._record.unlink(missing_ok=True)
        return code

    async def stop(self, grace: float) -> bool:
        """End the program and all that it started; return whether it had to be killed.

        Args:
            grace: seconds between its stop signal and the kill.
        """
        family = self._family()
        killed = False
        try:
            async with asyncio.timeout(grace):
                if self.process.returncode is None:
                    self.process.send_signal(self.program.stop_signal)
                await self.wait()
        except TimeoutError:
            killed = True
        pid_files.kill(family)
        await self.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return killed

    def _family(self) -> list[psutil.Process]:
        try:
            return pid_files.with_descendants(psutil.Process(self.process.pid))
        except psutil.NoSuchProcess:
            return []


def _before_start(program: Program) -> Callable[[], None] | None:
    return None if program.outlives_parent else signal_when_parent_dies(program.stop_signal)


def _environment(program: Program) -> dict[str, str]:
    environment = {**os.environ, **program.environment}
    environment.pop(LIFELINE_VARIABLE, None)
    if program.lifeline:
        environment[LIFELINE_VARIABLE] = "stdin"
    return environment

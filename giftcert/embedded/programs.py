"""One part of the stack as a process: what to run, how to start it, how to end it for certain."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from giftcert.embedded.guardian import PidFile, family_of, kill
from giftcert.embedded.parent import GO, LIFELINE_VARIABLE, signal_when_parent_dies
from giftcert.embedded.state_folder import StateFolder


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
    address: str | Callable[[], str] = ""
    is_ready: Callable[[], Awaitable[bool]] = at_once
    ready_within: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    lifeline: bool = False
    replaceable: bool = True
    outlives_parent: bool = False


class RunningProgram:
    """A started program, in a session of its own so that Ctrl-C reaches the supervisor alone."""

    def __init__(self, program: Program, process: Process, log: Path, record: Path | None) -> None:
        self.program = program
        self.process = process
        self._log = log
        self._record = record

    @classmethod
    async def launch(cls, program: Program, state: StateFolder) -> "RunningProgram":
        """Start the program with its output appended to its log.

        Raises:
            OSError: the program cannot be executed.
        """
        lifeline = {LIFELINE_VARIABLE: "stdin" if program.lifeline else ""}
        path = state.logs / f"{program.name}.log"
        with path.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=PIPE if program.lifeline else DEVNULL,
                stdout=log,
                env={**os.environ, **program.environment, **lifeline},
                **_set_apart(program.user, None if program.outlives_parent else program.stop_signal),
            )
        record = PidFile.of(program.name, process.pid, program.stop_signal)
        return cls(program, process, path, record.save(state.run) if record else None)

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
        """End the program and all that it started, at the latest after ``grace`` seconds; return whether by a kill."""
        family = family_of(self.process.pid)
        killed = False
        try:
            async with asyncio.timeout(grace):
                if self.process.returncode is None:
                    self.process.send_signal(self.program.stop_signal)
                await self.wait()
        except TimeoutError:
            killed = True
        kill(family)
        await self.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return killed

    def last_line(self) -> str:
        """Return the last thing that the program said, if its log is still there."""
        with suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()
            return lines[-1][-300:] if lines else ""
        return ""

    def how_it_ended(self) -> str:
        """Return how the program has ended, in words."""
        code = self.process.returncode or 0
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"  # its last words are about something else
        words = f" ({line})" if (line := self.last_line()) else ""
        return f"ended with {code}{words}"


async def complete(*command: str, user: str | None = None, folder: Path | None = None) -> tuple[int, str]:
    """Run a command to its end and return its exit code and what it said; it is killed if we are cancelled."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, cwd=folder, **_set_apart(user, signal.SIGKILL)
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace").strip()


def _set_apart(user: str | None, end: signal.Signals | None) -> dict[str, Any]:
    """Return how a process starts under a user, our own if None, that gets the signal ``end`` when we die."""
    return {
        "stderr": STDOUT,
        "start_new_session": True,
        "preexec_fn": None if end is None else signal_when_parent_dies(end),
        "user": user,
        "group": user,
        "extra_groups": None if user is None else [],
    }

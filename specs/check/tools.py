"""The tools that a check needs: whether they are there, in which version, and how their output is kept."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class CheckError(Exception):
    """A check found something, or could not run; the message is what its tool printed."""


class UnreachableError(Exception):
    """What a check needs could not be fetched; the message says what."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of the machine, the oldest version that serves, and how it says its own."""

    name: str
    least: tuple[int, ...]
    command: tuple[str, ...]

    @property
    def missing(self) -> str | None:
        """What has to be installed, or ``None``."""
        wanted = f"{self.name} {'.'.join(map(str, self.least))} or newer"
        if shutil.which(self.command[0]) is None:
            return f"{wanted} ({self.command[0]})"
        answer = subprocess.run(self.command, capture_output=True, text=True, check=False)  # noqa: S603 - constant
        printed = _COLOURS.sub("", answer.stdout + answer.stderr)
        found = re.search(r"(\d+)(?:\.(\d+))?", printed)
        version = tuple(int(part or 0) for part in found.groups()) if found else ()
        return None if version >= self.least else f"{wanted} (found {'.'.join(map(str, version)) or 'none'})"


NODE = Tool("Node.js", (20,), ("node", "--version"))
NPM = Tool("npm", (10,), ("npm", "--version"))
GO = Tool("Go", (1, 26), ("go", "version"))
JAVA = Tool("Java", (17,), ("javac", "-version"))
MAVEN = Tool("Maven", (3, 8), ("mvn", "--version"))


def fetch(what: str, command: Sequence[str | Path], folder: Path) -> None:
    """Fetch packages that a lock file pins; raises ``UnreachableError``."""
    try:
        run(command, folder)
    except CheckError as error:
        raise UnreachableError(
            f"{what}, which could not be fetched: {str(error).splitlines()[-1]}"
        ) from error


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in a folder and return what it printed.

    Raises:
        CheckError: it failed; the message is all that it printed.
    """
    done = subprocess.run(  # noqa: S603 - commands of this package
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CheckError(done.stdout.strip() or f"{command[0]} exited with {done.returncode}")
    return done.stdout.strip()

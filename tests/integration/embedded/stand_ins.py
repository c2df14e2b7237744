"""Small programs that behave, hang or die in place of the real parts, and what they report."""

from collections.abc import Callable
from dataclasses import dataclass, field

from giftcert.embedded.keeper import Program

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {ready}; time.sleep(600)"
OBEDIENT = "{ready}; import signal; signal.pause()"
READY = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()"

MakeProgram = Callable[..., Program]
"""Makes a stand-in of Python code; it is ready once it made the file that its first argument names."""


@dataclass
class Reports:
    """What was reported of the parts, in order."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, part: str, line: str) -> None:
        self.lines.append((part, line))

    def of(self, words: str) -> list[str]:
        return [line for _, line in self.lines if words in line]

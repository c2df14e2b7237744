"""A small process that outlives a killed supervisor just long enough to end all its parts.

Started as ``python -m giftcert.embedded.guardian FOLDER``; its standard input is a pipe that closes when the
supervisor ends, however that happens.
"""

import signal
import sys
from pathlib import Path

from giftcert.embedded.pid_files import end_leftovers

_GRACE_SECONDS = 5.0


def main() -> None:
    """Wait for the supervisor's end, then end what it left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    end_leftovers(Path(sys.argv[1]), _GRACE_SECONDS)


if __name__ == "__main__":
    main()

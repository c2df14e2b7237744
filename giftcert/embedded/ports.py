"""Ports of this machine for the parts of the stack."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Self, TextIO

from giftcert.embedded.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which systems take the ports of outgoing connections: a client that retries to
# reach a dead server on a port of that range can end up connected to itself and hold the port.
_FREE_PORTS = range(15_000, 32_000)


def is_free(port: int) -> bool:
    """Return whether nothing listens on this port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a random port on which nothing listens now.

    Raises:
        StackError: none was found in many tries.
    """
    with PortClaims() as claims:
        return claims.free()


class PortClaims:
    """The ports of one stack, from the choice until their release.

    Seconds pass between the choice of a port and the moment when its part listens on it. Two stacks that start
    together would choose the same one, so a lock file tells each of the other's choice.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir(), f"giftcert-ports-{os.getuid()}")
        self._held: list[TextIO] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def claim(self, setting: str, port: int, *, any_free: bool) -> int:
        """Return the port a part shall listen on.

        Args:
            setting: the name of the setting that holds the port, for the message.
            port: the wanted port; 0 means any free one.
            any_free: take a free port when the wanted one is taken, as ``--ports auto`` does.

        Raises:
            StackError: the port is taken.
        """
        if port != 0 and self._take(port):
            return port
        if port == 0 or any_free:
            return self.free()
        raise StackError(f"port {port} is taken: set {setting} to another, or run with --ports auto")

    def free(self) -> int:
        """Return a random port on which nothing listens and that no other stack has chosen.

        Raises:
            StackError: none was found in many tries.
        """
        for port in random.SystemRandom().sample(_FREE_PORTS, 200):
            if self._take(port):
                return port
        raise StackError("no free port was found on this machine")

    def release(self) -> None:
        """Let others choose these ports; the system does so too when the process ends."""
        while self._held:
            self._held.pop().close()

    def _take(self, port: int) -> bool:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        lock = (self._folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        if not is_free(port):
            lock.close()
            return False
        self._held.append(lock)
        return True

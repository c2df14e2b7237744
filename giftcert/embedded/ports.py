"""Ports of this machine: chosen for the parts of a stack, and asked whether anything answers there."""

import asyncio
import fcntl
import os
import random
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

from giftcert.embedded.state_folder import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which systems take the ports of outgoing connections: a client that retries to
# reach a dead server on a port of that range can end up connected to itself and hold the port.
_FREE_PORTS = range(15_000, 32_000)


class PortClaims(ExitStack):
    """The ports of one stack, until ``close`` or the end of the process.

    Seconds pass between the choice of a port and the moment when its part listens on it. Two stacks that start
    together would choose the same one, so a lock file shows each the other's choice. ``any_free``: take a free
    port where the wanted one is taken, as ``--ports auto`` does.
    """

    def __init__(self, *, any_free: bool = False) -> None:
        super().__init__()
        self._any_free = any_free

    def claim(self, setting: str, port: int) -> int:
        """Return the port a part shall listen on: the one that the setting wants, or a free one where that is 0."""
        if port != 0 and self._take(port):
            return port
        if port == 0 or self._any_free:
            return self.free()
        raise StackError(f"port {port} is taken: set {setting} to another, or run with --ports auto")

    def free(self) -> int:
        """Return a random port on which nothing listens and that no other stack has chosen."""
        for port in random.SystemRandom().sample(_FREE_PORTS, 200):
            if self._take(port):
                return port
        raise StackError("no free port was found on this machine")

    def _take(self, port: int) -> bool:
        folder = Path(tempfile.gettempdir(), f"giftcert-ports-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((LOOPBACK, port))
        except OSError:  # chosen by another stack, or something listens
            lock.close()
            return False
        self.enter_context(lock)
        return True


async def accepts_connections(host: str, port: int) -> bool:
    """Return whether something accepts TCP connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def answers_ok(port: int, path: str) -> bool:
    """Return whether an HTTP GET of the path on a port of this machine is answered with 200 within two seconds."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode())
            status_line = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return status_line.split(b" ")[1:2] == [b"200"]

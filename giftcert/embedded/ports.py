"""Ports of this machine for the parts of the stack."""

import random
import socket

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
    candidates = random.SystemRandom().sample(_FREE_PORTS, 200)
    for port in candidates:
        if is_free(port):
            return port
    raise StackError("no free port was found on this machine")


def claim(setting: str, port: int, *, any_free: bool) -> int:
    """Return the port a part shall listen on.

    Args:
        setting: the name of the setting that holds the port, for the message.
        port: the wanted port; 0 means any free one.
        any_free: take a free port when the wanted one is taken, as ``--ports auto`` does.

    Raises:
        StackError: the port is taken.
    """
    if port == 0:
        return free_port()
    if is_free(port):
        return port
    if any_free:
        return free_port()
    raise StackError(f"port {port} is taken: set {setting} to another, or run with --ports auto")

"""Free ports of this machine."""

import random
import socket

_RANGE = range(15_000, 32_000)
"""Below the ports of outgoing connections, in which a client that retries can connect to itself."""


def free_port() -> int:
    """Return a port on which nobody listens."""
    while True:
        port = random.choice(_RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port

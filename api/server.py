"""The HTTP server: uvicorn's, which gives up connections whose time is over and loses no request when it ends."""

import asyncio
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from api.connections import KEEP_ALIVE_SECONDS, MOST_LINGERING, BoundedConnection
from api.middleware import BODY_BYTES

SHUTDOWN_SECONDS = 5
DRAIN_LOOK_SECONDS = 0.05
MOST_TAKEN = 200  # connections at a time, so that those that are there go on
NO_FILES_SECONDS = 1.0
TICKS_PER_SECOND = 10  # of uvicorn
OTHER_FILES = MOST_LINGERING + 500
"""Open files beside the connections that are served: those that are being refused, the database, libraries."""
_LOG = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """Leaves signals to the runner of the process, which turns them into cancellation."""

    def __init__(
        self, config: uvicorn.Config, connection: Callable[..., BoundedConnection], drain: timedelta
    ) -> None:
        super().__init__(config)
        self._connection = connection
        self._drain = drain.total_seconds()
        self.takes_connections = False
        self._opening: set[asyncio.Task[None]] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections ourselves: uvloop takes one in each round of the loop, and under load a round takes long."""
        await super().startup([])
        self.takes_connections = True
        for listener in sockets or []:
            listener.settimeout(0)
            self._listen_to(listener)

    def _listen_to(self, listener: socket.socket) -> None:
        if self.takes_connections:
            asyncio.get_running_loop().add_reader(listener, self._take_all, listener)

    def _take_all(self, listener: socket.socket) -> None:
        try:
            for _ in range(MOST_TAKEN):
                self._opening.add(taken := asyncio.create_task(self._take(listener.accept()[0])))
                taken.add_done_callback(self._opening.discard)
        except (BlockingIOError, ConnectionAbortedError):
            pass
        except OSError:  # no file is left for another: when some have closed
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(NO_FILES_SECONDS, self._listen_to, listener)

    async def _take(self, accepted: socket.socket) -> None:
        make = partial(self._connection, self.config, self.server_state, self.lifespan.state)
        await asyncio.get_running_loop().connect_accepted_socket(make, accepted)

    async def on_tick(self, counter: int) -> bool:
        """Give up, once a second, the connections whose time is over: cheaper than a timer for each request."""
        if counter % TICKS_PER_SECOND == 0:
            now = asyncio.get_running_loop().time()
            for connection in [one for one in self._connections() if one.expires <= now]:
                connection.expire()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and let those there are end with an answer that says so.

        uvicorn closes the idle ones at once, and loses the request that is on its way on one of them.
        """
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
            await self._take_waiting(listener)
        await asyncio.gather(*self._opening)
        self.takes_connections = False
        for connection in self._connections():
            connection.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain):
                while self.server_state.connections:  # noqa: ASYNC110 - as uvicorn looks, which has no event for it
                    await asyncio.sleep(DRAIN_LOOK_SECONDS)
        await super().shutdown(sockets)

    async def _take_waiting(self, listener: socket.socket) -> None:
        """Take the connections that the kernel has accepted; it resets what waits when the listener closes."""
        with suppress(BlockingIOError):
            while True:
                await self._take(listener.accept()[0])

    def _connections(self) -> list[BoundedConnection]:
        return list(self.server_state.connections)  # type: ignore[arg-type] # the protocol of our options


def server_of(
    app: ASGIApp,
    *,
    connections: int,
    drain: timedelta,
    body_bytes: int = BODY_BYTES,
    **others: Any,  # noqa: ANN401 - uvicorn's
) -> Server:
    """Return the server of an application of ours; ``others`` are options of uvicorn."""
    connection: Any = partial(BoundedConnection, most=raise_file_limit(connections), body_bytes=body_bytes)
    given = {
        "http": connection,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "lifespan": "off",  # a failure to start is ours to report, in one line
        "ws": "none",
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
    }
    return Server(uvicorn.Config(app, **{**given, **others}), connection, drain)


async def serve_until_cancelled(
    server: Server, host: str, port: int, setting: str, *, leave: Callable[[], float] = lambda: 0.0
) -> None:
    """Serve at an address that two settings name; requests under way are finished first.

    Args:
        server: what serves.
        host: of the address.
        port: of the address.
        setting: the part of the names of those two settings that they share.
        leave: called once cancelled; returns for how many seconds connections are still taken.
    """
    with _listen(host, port, setting) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            await asyncio.wait({serving}, timeout=leave())
            server.should_exit = True
            await serving
            raise


def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        names = f"GIFTCERT_{setting}_HOST, GIFTCERT_{setting}_PORT"
        raise OSError(f"{names}: cannot listen on {host}:{port}: {error.strerror}") from error


def raise_file_limit(connections: int) -> int:
    """Allow as many files as so many connections take, and return how many fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            _LOG.warning(
                "fewer connections are served than were asked for: the limit of open files is lower",
                files=soft,
            )
    return connections if soft == resource.RLIM_INFINITY else min(connections, max(1, soft - OTHER_FILES))

"""A way to a server that a test can cut: at once, or in the middle of a conversation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self
from urllib.parse import urlsplit


class Cuttable:
    """Passes bytes on between clients and a server, as long as nothing is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._away = False
        self._left: int | None = None
        self._after_passing = False
        self._deaf = False
        self.was_cut = asyncio.Event()
        self._flows = asyncio.Event()
        self._flows.set()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self._away = True
        self._end()

    def mend(self) -> None:
        """Let connections through again."""
        self._away = False

    def hang(self) -> None:
        """Take everything and pass nothing on, as a server that is frozen."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on what was taken meanwhile, and what comes."""
        self._flows.set()

    def cut_once_at(self, step: int, *, after_passing: bool) -> None:
        """End all connections once, at the n-th thing a client says from now on.

        Args:
            step: counted from 1.
            after_passing: whether the server hears it, and only its answer is lost.
        """
        self._left, self._after_passing, self._deaf = step, after_passing, False
        self.was_cut.clear()

    def never_mind(self) -> None:
        """Forget a cut that was not reached."""
        self._left, self._deaf = None, False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._away:
            writer.transport.abort()
            return
        with suppress(OSError):
            await self._pass_on(reader, writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        there, back = await asyncio.open_connection(*self._target)
        ends = {writer, back}
        self._open |= ends
        try:
            said = asyncio.create_task(self._pump(reader, back, counts=True))
            heard = asyncio.create_task(self._pump(there, writer, counts=False))
            await asyncio.wait({said, heard}, return_when=asyncio.FIRST_COMPLETED)
            for task in (said, heard):
                task.cancel()
            await asyncio.gather(said, heard, return_exceptions=True)
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        while data := await reader.read(1 << 16):
            await self._flows.wait()
            if not counts and self._deaf:
                self._cut_once()
                return
            last = counts and self._is_last()
            if last and not self._after_passing:
                self._cut_once()
                return
            writer.write(data)
            await writer.drain()
            if last:
                self._deaf = True  # the connection is cut as soon as the server answers

    def _is_last(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        return self._left == 0

    def _cut_once(self) -> None:
        self._left, self._deaf = None, False
        self.was_cut.set()
        self._end()

    def _end(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()


@asynccontextmanager
async def cuttable(url: str) -> AsyncIterator[tuple[Cuttable, str]]:
    """Yield a way to the server of an address, and the address that goes through it."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    assert parts.hostname is not None
    assert parts.port is not None
    async with Cuttable(parts.hostname, parts.port) as way:
        yield way, url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{way.port}")

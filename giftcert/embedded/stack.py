"""The three servers of the embedded stack behind one small interface."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType

from giftcert.embedded.addresses import Addresses
from giftcert.embedded.errors import first_error
from giftcert.embedded.keeper import Keeper, Report
from giftcert.embedded.pid_files import end_leftovers
from giftcert.embedded.ports import PortClaims
from giftcert.embedded.programs import Program
from giftcert.embedded.servers import Server, Servers, StackOptions, embedded_parts
from giftcert.embedded.state_folder import StateFolder
from giftcert.settings import Settings

_GRACE_SECONDS = 3.5
# It only watches, and ends when its lifeline closes; even one that hangs may not cost the promised ten seconds.
_GUARDIAN_GRACE_SECONDS = 0.5
_LEFTOVER_GRACE_SECONDS = 5.0


def silent(_part: str, _line: str) -> None:
    """Report nothing."""


async def nothing_early(_addresses: Addresses) -> None:
    """Start nothing beside the servers."""


class EmbeddedStack:
    """PostgreSQL, Temporal and Kafka as local processes, started together and kept running.

    ``async with EmbeddedStack(settings, parts={"postgres"}) as addresses:`` from the main thread, because
    Linux ends the parts when the thread that started them ends. Entering raises `StackError`.

    Args:
        settings: name the state folder and the ports; a part whose address is set is external.
        parts: of "postgres", "temporal", "kafka"; by default all whose address is not set.
        options: how it differs from the stack of ``giftcert up``.
        report: told one line at each change of a part.
        early: called as soon as the addresses are known, while the servers still get ready.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        parts: Iterable[str] | None = None,
        options: StackOptions | None = None,
        report: Report = silent,
        early: Callable[[Addresses], Awaitable[None]] = nothing_early,
    ) -> None:
        self.state = StateFolder(settings.state_dir)
        self._settings = settings
        self._parts = embedded_parts(settings) if parts is None else frozenset(parts)
        self._options = options or StackOptions()
        self._report = report
        self._early = early
        self._keepers: list[Keeper] = []
        self._guardian: Keeper | None = None
        self.ports = PortClaims()
        self._cleanup = AsyncExitStack()

    async def __aenter__(self) -> Addresses:
        try:
            return await self._start()
        except BaseExceptionGroup as group:
            await self._cleanup.aclose()
            raise first_error(group) from None
        except BaseException:
            await self._cleanup.aclose()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._cleanup.aclose()

    async def lost(self) -> str:
        """Wait until a server dies that no other can replace; return its name."""
        waits = {asyncio.create_task(keeper.lost.wait()): keeper for keeper in self._keepers}
        if not waits:
            await asyncio.Event().wait()
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return waits[next(iter(done))].program.name

    async def _start(self) -> Addresses:
        self.state.create()
        self._cleanup.enter_context(self.state.locked())
        for part in await asyncio.to_thread(end_leftovers, self.state.run, _LEFTOVER_GRACE_SECONDS):
            self._report(part, "ended: an earlier stack had left it behind")
        self._cleanup.enter_context(self.ports)
        servers = Servers(self._settings, self.state, self._parts, self._options, self.ports)
        self._cleanup.callback(self.state.addresses.unlink, missing_ok=True)
        await self._start_guardian()
        self._cleanup.push_async_callback(self._stop_servers)
        await self._start_servers(servers)
        addresses = servers.addresses()
        addresses.save(self.state.addresses)
        return addresses

    async def _start_servers(self, servers: Servers) -> None:
        if servers.why_in_memory:
            why = (
                f"{servers.why_in_memory}; for a real one install it, or set GIFTCERT_KAFKA_BOOTSTRAP_SERVERS"
            )
            self._report("kafka", f"in-memory broker, its messages end with it: {why}")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._start_server(server)) for server in servers.all()]
            if servers.why_in_memory:
                await tasks[0]  # its address is its own choice
            group.create_task(self._call_early(servers.addresses()))

    async def _start_server(self, server: Server) -> None:
        keeper = Keeper(await server.prepare(), self.state.run, self._report)
        self._keepers.append(keeper)
        await keeper.launch()
        await keeper.make_ready()

    async def _call_early(self, addresses: Addresses) -> None:
        await self._early(addresses)

    async def _stop_servers(self) -> None:
        await asyncio.gather(*(keeper.stop(_GRACE_SECONDS) for keeper in self._keepers))

    async def _start_guardian(self) -> None:
        program = Program(
            name="guardian",
            command=(sys.executable, "-m", "giftcert.embedded.guardian", str(self.state.run)),
            log=self.state.logs / "guardian.log",
            lifeline=True,
            outlives_parent=True,
        )
        guardian = Keeper(program, self.state.run, silent)
        self._cleanup.push_async_callback(guardian.stop, _GUARDIAN_GRACE_SECONDS)
        await guardian.launch()
        await guardian.make_ready()

"""The three servers of the embedded stack behind one small interface."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Protocol

from giftcert.embedded.addresses import PARTS, Addresses
from giftcert.embedded.errors import StackError, first_error
from giftcert.embedded.guardian import end_leftovers
from giftcert.embedded.kafka import Kafka, MemoryBroker, why_not_real
from giftcert.embedded.keeper import Keeper, Report
from giftcert.embedded.ports import PortClaims
from giftcert.embedded.postgres import Postgres
from giftcert.embedded.programs import Program
from giftcert.embedded.state_folder import StateFolder
from giftcert.embedded.temporal import Temporal
from giftcert.settings import Settings

_GRACE_SECONDS = 3.5
# It only watches, and ends when its lifeline closes; even one that hangs may not cost the promised ten seconds.
_GUARDIAN_GRACE_SECONDS = 0.5


class Server(Protocol):
    """One of the three servers; ``addresses`` are the fields of `Addresses` that it fills."""

    @property
    def addresses(self) -> Mapping[str, Any]: ...  # noqa: D102 - above

    async def prepare(self) -> Program:
        """Make what its first start needs; return what to run."""


def silent(_part: str, _line: str) -> None:
    """Report nothing."""


class EmbeddedStack:
    """PostgreSQL, Temporal and Kafka as local processes, started together and kept running.

    ``async with EmbeddedStack(settings, parts={"postgres"}) as addresses:`` from the main thread, because
    Linux ends the parts when the thread that started them ends. Entering raises `StackError`.

    Args:
        settings: name the state folder and the ports; a part whose address is set is external.
        parts: of "postgres", "temporal", "kafka"; by default all whose address is not set.
        any_free_port: take a free port where the wanted one is taken.
        durable: or else PostgreSQL without fsync and Temporal in memory.
        report: told one line at each change of a part.
        early: called as soon as the addresses are known, while the servers still get ready.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        parts: Iterable[str] | None = None,
        any_free_port: bool = False,
        durable: bool = True,
        report: Report = silent,
        early: Callable[[Addresses], Awaitable[None]] | None = None,
    ) -> None:
        self.settings = settings
        self.state = StateFolder(settings.state_dir)
        self.ports = PortClaims(any_free=any_free_port)
        self.report = report
        self.cleanup = AsyncExitStack()
        self._parts = embedded_parts(settings) if parts is None else frozenset(parts)
        self._durable = durable
        self._early = early
        self._keepers: list[Keeper] = []
        self._lost: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> Addresses:
        try:
            return await self._start()
        except BaseException as error:
            await self.cleanup.aclose()
            if isinstance(error, BaseExceptionGroup):
                raise first_error(error) from None
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.cleanup.aclose()

    async def fail_when_lost(self) -> None:
        """Wait until a server dies that no other can replace.

        Raises:
            StackError: always.
        """
        raise StackError(f"{await self._lost.get()} is gone and cannot be replaced")

    async def _start(self) -> Addresses:
        self.state.create()
        self.cleanup.enter_context(self.state.locked())
        for part in await asyncio.to_thread(end_leftovers, self.state.run):
            self.report(part, "ended: an earlier stack had left it behind")
        self.cleanup.enter_context(self.ports)
        servers = self._servers()
        self.cleanup.callback(self.state.addresses.unlink, missing_ok=True)
        await self._start_guardian()
        self.cleanup.push_async_callback(self._stop_servers)
        addresses = await self._start_servers(servers)
        addresses.save(self.state.addresses)
        return addresses

    def _servers(self) -> list[Server]:
        """Return the servers to start, on ports that nobody else takes from now on."""
        settings, durable = self.settings, self._durable
        servers: list[Server] = []
        if "kafka" in self._parts:
            servers.append(self._broker())
        if "postgres" in self._parts:
            port = self.ports.claim("GIFTCERT_POSTGRES_PORT", settings.postgres_port)
            servers.append(Postgres(self.state, port, durable=durable))
        if "temporal" in self._parts:
            port = self.ports.claim("GIFTCERT_TEMPORAL_PORT", settings.temporal_port)
            ui_port = self.ports.claim("GIFTCERT_TEMPORAL_UI_PORT", settings.temporal_ui_port)
            servers.append(Temporal(self.state, port, ui_port, settings.temporal_namespace, durable=durable))
        return servers

    def _broker(self) -> Kafka | MemoryBroker:
        why_in_memory = why_not_real(self.settings.cache_dir)
        if why_in_memory is None:
            port = self.ports.claim("GIFTCERT_KAFKA_PORT", self.settings.kafka_port)
            return Kafka(self.settings, self.state, port, self.ports.free())
        remedy = "for a real one install it, or set GIFTCERT_KAFKA_BOOTSTRAP_SERVERS"
        self.report("kafka", f"in-memory broker, its messages end with it: {why_in_memory}; {remedy}")
        return MemoryBroker(self.state)

    async def _start_servers(self, servers: Iterable[Server]) -> Addresses:
        """Start all at once; return where they are, together with those that are external."""
        async with asyncio.TaskGroup() as group:
            starts = [(server, group.create_task(self._start_server(server))) for server in servers]
            addresses = Addresses.external(self.settings)
            for server, start in starts:
                if isinstance(server, MemoryBroker):
                    await start  # its address is its own choice
                addresses = replace(addresses, **server.addresses)
            if self._early is not None:
                await self._early(addresses)
        return addresses

    async def _start_server(self, server: Server) -> None:
        keeper = Keeper(await server.prepare(), self.state, self.report, self._lost.put_nowait)
        self._keepers.append(keeper)
        await keeper.make_ready()

    async def _stop_servers(self) -> None:
        await asyncio.gather(*(keeper.stop(_GRACE_SECONDS) for keeper in self._keepers))

    async def _start_guardian(self) -> None:
        program = Program(
            name="guardian",
            command=(sys.executable, "-m", "giftcert.embedded.guardian", str(self.state.run)),
            lifeline=True,
            outlives_parent=True,
        )
        guardian = Keeper(program, self.state, silent)
        self.cleanup.push_async_callback(guardian.stop, _GUARDIAN_GRACE_SECONDS)
        await guardian.make_ready()


def embedded_parts(settings: Settings) -> frozenset[str]:
    """Return the servers whose address is not set, which are therefore ours to start."""
    external = Addresses.external(settings).servers
    return frozenset(part for part, setting in PARTS.items() if external[setting] is None)

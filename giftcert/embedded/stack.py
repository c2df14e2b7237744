"""The embedded stack: PostgreSQL, Temporal and Kafka as local processes, and the service itself on top of them."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from giftcert.embedded.addresses import (
    PARTS,
    Addresses,
    check_external,
    refuse_embedded_keys,
    save_addresses,
)
from giftcert.embedded.guardian import end_leftovers
from giftcert.embedded.kafka import Kafka, MemoryBroker, why_not_real
from giftcert.embedded.keeper import Keeper, Program, Report, silent
from giftcert.embedded.ports import LOOPBACK, PortClaims, answers_ok
from giftcert.embedded.postgres import Postgres
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.embedded.temporal import Temporal
from giftcert.security.keys import EmbeddedKeys, check_key_files
from giftcert.settings import Settings

_PREPARATION_SECONDS = 60
# Together all is over within ten seconds, even if a part on each level hangs.
_SERVICE_GRACE_SECONDS = 5.0
_SERVER_GRACE_SECONDS = 3.5
_GUARDIAN_GRACE_SECONDS = 0.5


Server: TypeAlias = Postgres | Temporal | Kafka | MemoryBroker
"""Its ``addresses`` are the fields of `Addresses` that it fills; ``prepare`` makes what its first start needs."""


class EmbeddedStack:
    """PostgreSQL, Temporal and Kafka, started together and kept running.

    ``async with EmbeddedStack(settings, parts={"postgres"}) as addresses:``; entering raises `StackError`.

    Args:
        settings: name the state folder and the ports; a part whose address is set is external.
        parts: of "postgres", "temporal", "kafka"; by default all whose address is not set.
        any_free_port: take a free port where the wanted one is taken.
        durable: or else PostgreSQL without fsync and Temporal in memory.
        report: called with one line at each change of a part.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        parts: Iterable[str] | None = None,
        any_free_port: bool = False,
        durable: bool = True,
        report: Report = silent,
    ) -> None:
        self.settings = settings
        self.state = StateFolder(settings.state_dir)
        self.ports = PortClaims(any_free=any_free_port)
        self.report = report
        self._parts = embedded_parts(settings) if parts is None else frozenset(parts)
        self._durable = durable
        self._cleanup = AsyncExitStack()
        self._starts: list[asyncio.Task[None]] = []
        self._keepers: list[Keeper] = []
        self._lost: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> Addresses:
        try:
            addresses = await self.launch()
            await self.until_ready()
        except BaseException:
            await self.close()
            raise
        return addresses

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def launch(self) -> Addresses:
        """Begin to start the servers; return where they will be, together with those that are external."""
        self.state.create()
        self._cleanup.enter_context(self.state.locked())
        for part in await asyncio.to_thread(end_leftovers, self.state.run):
            self.report(part, "ended: an earlier stack had left it behind")
        self._cleanup.enter_context(self.ports)
        servers, addresses = list(self._servers()), Addresses.external(self.settings)
        await self._start_guardian()
        self._cleanup.callback(self.state.addresses.unlink, missing_ok=True)
        self._cleanup.push_async_callback(self._stop_servers)
        for server in servers:
            start = asyncio.create_task(self._start_server(server))
            self._starts.append(start)
            if isinstance(server, MemoryBroker):
                await start  # its address is its own choice
            addresses = replace(addresses, **server.addresses)
        save_addresses(addresses, self.settings)
        return addresses

    async def until_ready(self) -> None:
        """Wait for the servers; raise what keeps one from starting."""
        await asyncio.gather(*self._starts)

    async def fail_when_lost(self) -> None:
        """Raise a `StackError` when a server has died that no other can replace."""
        raise StackError(f"{await self._lost.get()} is gone and cannot be replaced")

    async def close(self) -> None:
        """End whatever runs."""
        await self._cleanup.aclose()

    def _servers(self) -> Iterator[Server]:
        """Return the servers to start, on ports that nobody else takes from now on."""
        settings, state, ports = self.settings, self.state, self.ports
        if "kafka" in self._parts:
            why_in_memory = why_not_real(settings.cache_dir)
            if why_in_memory is None:
                kafka = Kafka(settings, state, ports)
                if not kafka.is_fetched:
                    self.report("kafka", "Maven fetches it, this once: some minutes")
                yield kafka
            else:
                remedy = "for a real one install it, or set GIFTCERT_KAFKA_BOOTSTRAP_SERVERS"
                self.report("kafka", f"in-memory broker, its messages end with it: {why_in_memory}; {remedy}")
                yield MemoryBroker(state)
        if "postgres" in self._parts:
            yield Postgres(settings, state, ports, durable=self._durable)
        if "temporal" in self._parts:
            yield Temporal(settings, state, ports, durable=self._durable)

    async def _start_server(self, server: Server) -> None:
        keeper = Keeper(await server.prepare(), self.state, self.report, self._lost.put_nowait)
        self._keepers.append(keeper)
        await keeper.make_ready()

    async def _stop_servers(self) -> None:
        for start in self._starts:
            start.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        await asyncio.gather(*(keeper.stop(_SERVER_GRACE_SECONDS) for keeper in self._keepers))

    async def _start_guardian(self) -> None:
        command = (sys.executable, "-m", "giftcert.embedded.guardian", str(self.state.run))
        guardian = Keeper(Program(name="guardian", command=command, lifeline=True), self.state)
        self._cleanup.push_async_callback(guardian.stop, _GUARDIAN_GRACE_SECONDS)
        await guardian.make_ready()


def embedded_parts(settings: Settings) -> frozenset[str]:
    """Return the servers whose address is not set, which are therefore ours to start."""
    external = Addresses.external(settings).servers
    return frozenset(part for part, setting in PARTS.items() if external[setting] is None)


@dataclass(frozen=True, slots=True)
class ReadyStack:
    """Servers and service, every part of them ready; ``seconds`` is how long it took."""

    addresses: Addresses
    state_folder: Path
    seconds: float


@asynccontextmanager
async def whole_stack(
    settings: Settings, report: Report, *, any_free_port: bool
) -> AsyncIterator[ReadyStack]:
    """Start servers and service, and end everything when the body is done or something cannot go on.

    The processes of the service load their modules while the servers start; each waits for the word to go on.
    """
    began = time.monotonic()
    refuse_embedded_keys(settings)
    check_key_files(settings)
    await check_external(settings)
    stack = EmbeddedStack(settings, any_free_port=any_free_port, report=report)
    service: list[Keeper] = []
    try:
        addresses = await stack.launch()
        ports = {"api": stack.ports.claim("GIFTCERT_API_PORT", settings.api_port)}
        ports |= {name: stack.ports.free() for name in ("ingest", "worker", "dispatch")}
        programs = _service_programs(settings, stack.state, addresses, ports)
        service = [Keeper(program, stack.state, report) for program in programs]
        for process in service:
            await process.launch()
        await stack.until_ready()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(stack.fail_when_lost())
            await _open(service, report)
            metrics_urls = {name: f"{_url(port)}/metrics" for name, port in ports.items()}
            addresses = replace(addresses, api_url=_url(ports["api"]), metrics_urls=metrics_urls)
            save_addresses(addresses, settings)
            yield ReadyStack(addresses, stack.state.root, time.monotonic() - began)
            watch.cancel()
    finally:
        await asyncio.gather(*(process.stop(_SERVICE_GRACE_SECONDS) for process in service))
        await stack.close()


def _service_programs(
    settings: Settings, state: StateFolder, addresses: Addresses, ports: Mapping[str, int]
) -> Iterator[Program]:
    """Return the commands of the service: first the one that prepares, then those that go on."""
    keys = EmbeddedKeys.of(settings)
    if settings.keyring is None or settings.jwt_jwks is None:
        keys.ensure()
    environment = {
        **addresses.environment(),
        "GIFTCERT_STATE_DIR": str(state.root),
        "GIFTCERT_KEYRING": str(settings.keyring or keys.keyring),
        "GIFTCERT_JWT_JWKS": str(settings.jwt_jwks or keys.jwks),
        "GIFTCERT_API_PORT": str(ports["api"]),  # also for those that show where the API is
    }
    owner_url = addresses.database_owner_url
    owner = {"GIFTCERT_DATABASE_OWNER_URL": owner_url} if owner_url is not None else {}
    command = (sys.executable, "-m", "giftcert.cli")
    yield Program("prepare", (*command, "prepare"), environment=environment | owner, lifeline=True)
    for name, port in ports.items():
        own = {"GIFTCERT_METRICS_PORT": str(port), "GIFTCERT_METRICS_HOST": LOOPBACK}
        if name == "api":  # its clients end with the stack, and need not hear that their connections close
            own = {"GIFTCERT_API_DRAIN": "PT0S"}
        yield Program(
            name,
            (*command, name),
            address=_url(port) if name == "api" else f"{_url(port)}/metrics",
            is_ready=partial(answers_ok, port, "/readyz"),
            environment={**environment, **own},
            lifeline=True,
        )


async def _open(service: Sequence[Keeper], report: Report) -> None:
    """Have tables, topics, schedules and a first pool made, then let each process start until it is ready."""
    preparation, *processes = service
    try:
        async with asyncio.timeout(_PREPARATION_SECONDS):
            code, _ = await preparation.finish()
    except TimeoutError:
        said = preparation.last_line()
        raise StackError(f"prepare took longer than {_PREPARATION_SECONDS} s ({said})") from None
    said = preparation.last_line()
    if code != 0:
        raise StackError(said.removeprefix("giftcert: ") or "prepare failed")
    report("prepare", said)
    async with asyncio.TaskGroup() as group:
        for process in processes:
            group.create_task(process.make_ready())


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"

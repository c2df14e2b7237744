"""The whole stack: servers, and the service itself on top, from the first check to the last process gone."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from giftcert.embedded.addresses import Addresses
from giftcert.embedded.errors import StackError, first_error
from giftcert.embedded.external import check_external
from giftcert.embedded.keeper import Keeper, Report
from giftcert.embedded.key_rule import refuse_embedded_keys
from giftcert.embedded.ports import LOOPBACK
from giftcert.embedded.programs import Program, RunningProgram
from giftcert.embedded.readiness import answers_ok
from giftcert.embedded.stack import EmbeddedStack
from giftcert.security import EmbeddedKeys, check_key_files
from giftcert.settings import Settings

_PREPARATION_SECONDS = 60
# With that of the servers all is over within ten seconds, even if a part on each level hangs.
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A stack of which every part is ready; ``seconds`` is how long it took."""

    addresses: Addresses
    metrics_urls: Mapping[str, str]
    state_folder: Path
    seconds: float


async def run_whole_stack(
    settings: Settings, report: Report, use: Callable[[Ready], Awaitable[None]], *, any_free_port: bool
) -> None:
    """Start everything, and end everything when ``use`` of the ready stack returns.

    Raises:
        StackError: something cannot start, or died and cannot be replaced; one line.
        KeyFileError: a key file that is set cannot be used.
    """
    began = time.monotonic()
    refuse_embedded_keys(settings)
    check_key_files(settings)

    async def launch_service(addresses: Addresses) -> None:
        stack.cleanup.push_async_callback(service.close)
        await service.launch(addresses)

    stack = EmbeddedStack(settings, any_free_port=any_free_port, report=report, early=launch_service)
    service = _Service(stack)
    try:
        await check_external(settings)
        async with stack as servers, asyncio.TaskGroup() as group:
            watch = group.create_task(stack.fail_when_lost())
            await service.open()
            addresses = replace(servers, api_url=service.api_url)
            addresses.save(stack.state.addresses)
            seconds = time.monotonic() - began
            await use(Ready(addresses, service.metrics_urls, stack.state.root, seconds))
            watch.cancel()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


class _Service:
    """The service's processes: loaded while the servers start, opened once all is prepared, kept open."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self._stack = stack
        self._ports: dict[str, int] = {}
        self._processes: list[Keeper] = []
        self._preparation: RunningProgram | None = None

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports['api']}"

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        return {name: f"http://{LOOPBACK}:{port}/metrics" for name, port in self._ports.items()}

    async def launch(self, addresses: Addresses) -> None:
        """Start everything; it loads its modules and waits. Only now the port of the API is chosen."""
        stack, settings = self._stack, self._stack.settings
        keys = EmbeddedKeys.of(settings)
        if settings.keyring is None or settings.jwt_jwks is None:
            keys.ensure()
        environment = {
            **addresses.environment(),
            "GIFTCERT_STATE_DIR": str(stack.state.root),
            "GIFTCERT_KEYRING": str(settings.keyring or keys.keyring),
            "GIFTCERT_JWT_JWKS": str(settings.jwt_jwks or keys.jwks),
        }
        self._ports["api"] = stack.ports.claim("GIFTCERT_API_PORT", settings.api_port)
        self._ports |= {name: stack.ports.free() for name in ("ingest", "worker", "dispatch")}
        self._preparation = await RunningProgram.launch(self._program("prepare", environment), stack.state)
        for name, port in self._ports.items():
            process = Keeper(self._process(name, port, environment), stack.state, stack.report)
            self._processes.append(process)
            await process.launch()

    async def open(self) -> None:
        """Have tables, topics, schedules and a first pool made, then let each process start until it is ready."""
        await self._prepare()
        async with asyncio.TaskGroup() as group:
            for process in self._processes:
                group.create_task(process.make_ready())

    async def close(self) -> None:
        """End whatever runs."""
        async with asyncio.TaskGroup() as group:
            for process in self._processes:
                group.create_task(process.stop(_GRACE_SECONDS))
            if self._preparation is not None:
                group.create_task(self._preparation.stop(_GRACE_SECONDS))

    async def _prepare(self) -> None:
        preparation = self._preparation
        assert preparation is not None  # noqa: S101 - it was launched
        preparation.let_start()
        try:
            async with asyncio.timeout(_PREPARATION_SECONDS):
                code = await preparation.wait()
        except TimeoutError:
            said = preparation.last_line()
            raise StackError(f"prepare took longer than {_PREPARATION_SECONDS} s ({said})") from None
        said = preparation.last_line()
        if code != 0:
            raise StackError(said.removeprefix("giftcert: ") or "prepare failed")
        self._stack.report("prepare", said)

    def _process(self, name: str, port: int, environment: Mapping[str, str]) -> Program:
        if name == "api":
            address, own = self.api_url, {"GIFTCERT_API_PORT": str(port)}
        else:
            address = self.metrics_urls[name]
            own = {"GIFTCERT_METRICS_PORT": str(port), "GIFTCERT_METRICS_HOST": LOOPBACK}
        is_ready = partial(answers_ok, LOOPBACK, port, "/healthz")
        return replace(self._program(name, {**environment, **own}), address=address, is_ready=is_ready)

    def _program(self, name: str, environment: Mapping[str, str]) -> Program:
        return Program(
            name=name,
            command=(sys.executable, "-m", "giftcert.cli", name),
            environment=environment,
            lifeline=True,
        )

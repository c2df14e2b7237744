"""The service itself on top of the servers: what prepares it, and its doors."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from giftcert.embedded.addresses import Addresses
from giftcert.embedded.errors import StackError
from giftcert.embedded.keeper import Keeper, Report
from giftcert.embedded.ports import LOOPBACK, PortClaims
from giftcert.embedded.programs import Program, RunningProgram
from giftcert.embedded.readiness import answers_ok
from giftcert.embedded.state_folder import StateFolder
from giftcert.security import EmbeddedKeys
from giftcert.settings import Settings

DOORS = ("api", "ingest", "worker", "dispatch")
_PREPARATION_SECONDS = 60


class Service:
    """Loads the doors while the servers start, prepares, then opens them and keeps them open."""

    def __init__(self, state: StateFolder, report: Report) -> None:
        self._state = state
        self._report = report
        self._doors: list[Keeper] = []
        self._preparation: RunningProgram | None = None

    async def launch(self, preparation: Program | None, doors: Sequence[Program]) -> None:
        """Start the processes; they load their modules and wait.

        Raises:
            StackError: one cannot be executed.
        """
        if preparation is not None:
            self._preparation = await RunningProgram.launch(preparation, self._state.run)
        for program in doors:
            door = Keeper(program, self._state.run, self._report)
            self._doors.append(door)
            await door.launch()

    async def open(self) -> None:
        """Prepare, then let the doors start and wait until each is ready.

        Raises:
            StackError: the preparation failed, or a door ended or took too long.
        """
        await self._prepare()
        async with asyncio.TaskGroup() as group:
            for door in self._doors:
                group.create_task(door.make_ready())

    async def close(self, grace: float) -> None:
        """End the doors; ``grace`` in seconds as in `RunningProgram.stop`."""
        preparation, self._preparation = self._preparation, None
        doors, self._doors = self._doors, []
        async with asyncio.TaskGroup() as group:
            for door in doors:
                group.create_task(door.stop(grace))
            if preparation is not None:
                group.create_task(preparation.stop(grace))

    async def _prepare(self) -> None:
        if self._preparation is None:
            return
        program = self._preparation.program
        self._preparation.let_start()
        try:
            async with asyncio.timeout(_PREPARATION_SECONDS):
                code = await self._preparation.wait()
        except TimeoutError:
            raise StackError(
                f"{program.name} took longer than {_PREPARATION_SECONDS} s ({program.last_line()})"
            ) from None
        if code != 0:
            raise StackError(program.last_line().removeprefix("giftcert: ") or f"{program.name} failed")
        self._report(program.name, program.last_line())


class ServicePrograms:
    """What to run for the service, on which ports."""

    def __init__(
        self, settings: Settings, state: StateFolder, ports: PortClaims, *, any_free_port: bool
    ) -> None:
        self._settings = settings
        self._state = state
        self._api_port = ports.claim("GIFTCERT_API_PORT", settings.api_port, any_free=any_free_port)
        self._metrics_ports = {door: ports.free() for door in DOORS if door != "api"}

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://{LOOPBACK}:{self._api_port}"

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Where each process shows its figures."""
        urls = {door: f"http://{LOOPBACK}:{port}/metrics" for door, port in self._metrics_ports.items()}
        return {"api": f"{self.api_url}/metrics", **urls}

    def preparation(self, addresses: Addresses) -> Program:
        """Return the program that makes tables, topics, schedules and a first pool."""
        return self._program("prepare", addresses, {})

    def doors(self, addresses: Addresses) -> list[Program]:
        """Return the four doors."""
        return [self._api(addresses), *(self._door(name, addresses) for name in self._metrics_ports)]

    def _api(self, addresses: Addresses) -> Program:
        program = self._program("api", addresses, {"GIFTCERT_API_PORT": str(self._api_port)})
        return _ready_at(program, self._api_port, self.api_url)

    def _door(self, name: str, addresses: Addresses) -> Program:
        port = self._metrics_ports[name]
        environment = {"GIFTCERT_METRICS_PORT": str(port), "GIFTCERT_METRICS_HOST": LOOPBACK}
        return _ready_at(self._program(name, addresses, environment), port, self.metrics_urls[name])

    def _program(self, name: str, addresses: Addresses, environment: Mapping[str, str]) -> Program:
        return Program(
            name=name,
            command=(sys.executable, "-m", "giftcert.cli", name),
            log=self._state.logs / f"{name}.log",
            environment={**addresses.environment(), **self._own_settings(), **environment},
            lifeline=True,
        )

    def _own_settings(self) -> Mapping[str, str]:
        keys = EmbeddedKeys.of(self._settings)
        return {
            "GIFTCERT_STATE_DIR": str(self._state.root),
            "GIFTCERT_KEYRING": str(self._settings.keyring or keys.keyring),
            "GIFTCERT_JWT_JWKS": str(self._settings.jwt_jwks or keys.jwks),
        }


def _ready_at(program: Program, port: int, address: str) -> Program:
    async def is_ready() -> bool:
        return await answers_ok(LOOPBACK, port, "/healthz")

    return replace(program, address=address, is_ready=is_ready)

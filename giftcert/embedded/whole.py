"""The whole stack: servers and service, from the first check to the last process gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from giftcert.embedded.addresses import Addresses
from giftcert.embedded.errors import StackError, first_error
from giftcert.embedded.external import check_external
from giftcert.embedded.keeper import Report
from giftcert.embedded.key_rule import refuse_embedded_keys
from giftcert.embedded.servers import StackOptions
from giftcert.embedded.service import Service, ServicePrograms
from giftcert.embedded.stack import EmbeddedStack
from giftcert.security import EmbeddedKeys, check_key_files
from giftcert.settings import Settings

# With that of the servers all is over within ten seconds, even if a part on each level hangs.
_DOOR_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A stack of which every part is ready; ``seconds`` is how long it took."""

    addresses: Addresses
    metrics_urls: Mapping[str, str]
    state_folder: Path
    seconds: float


Use: TypeAlias = Callable[[Ready], Awaitable[None]]


class WholeStack:
    """What ``giftcert up`` runs."""

    def __init__(self, settings: Settings, options: StackOptions, report: Report) -> None:
        self._settings = settings
        self._options = options
        self._stack = EmbeddedStack(settings, options=options, report=report, early=self._launch_service)
        self._service = Service(self._stack.state, report)
        self._programs: ServicePrograms | None = None

    async def run(self, use: Use) -> None:
        """Start everything, and end everything when ``use`` of the ready stack returns.

        Raises:
            StackError: something cannot start, or died and cannot be replaced; one line.
            KeyFileError: a key file that is set cannot be used.
        """
        began = time.monotonic()
        refuse_embedded_keys(self._settings)
        check_key_files(self._settings)
        try:
            await check_external(self._settings)
            async with self._stack as addresses:
                try:
                    await self._service.open()
                    await self._use(use, self._ready(addresses, time.monotonic() - began))
                finally:
                    await self._service.close(_DOOR_GRACE_SECONDS)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        finally:
            await self._service.close(_DOOR_GRACE_SECONDS)  # launched, but the servers never got ready

    async def _launch_service(self, addresses: Addresses) -> None:
        """Have the service's processes load their modules while the servers get ready."""
        if self._settings.keyring is None or self._settings.jwt_jwks is None:
            EmbeddedKeys.of(self._settings).ensure()
        free = self._options.any_free_port
        self._programs = ServicePrograms(
            self._settings, self._stack.state, self._stack.ports, any_free_port=free
        )
        doors = self._programs.doors(addresses)
        await self._service.launch(self._programs.preparation(addresses), doors)

    def _ready(self, addresses: Addresses, seconds: float) -> Ready:
        assert self._programs is not None  # noqa: S101 - the servers are ready, so it was called early
        addresses = replace(addresses, api_url=self._programs.api_url)
        addresses.save(self._stack.state.addresses)
        return Ready(addresses, self._programs.metrics_urls, self._stack.state.root, seconds)

    async def _use(self, use: Use, ready: Ready) -> None:
        using = asyncio.ensure_future(use(ready))
        lost = asyncio.create_task(self._stack.lost())
        try:
            await asyncio.wait({using, lost}, return_when=asyncio.FIRST_COMPLETED)
            if using.done():
                await using
                return
            raise StackError(f"{lost.result()} is gone and cannot be replaced")
        finally:
            lost.cancel()
            using.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await using

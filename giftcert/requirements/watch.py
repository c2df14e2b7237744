"""A process looks for what it lacks when it starts, and every minute: without it, it is not ready and says why."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import structlog
from prometheus_client import Gauge
from temporalio.client import Client

from giftcert.background import in_background
from giftcert.health import KAFKA, POSTGRESQL, TEMPORAL, Health
from giftcert.requirements.database import check_database_objects
from giftcert.requirements.finding import Finding
from giftcert.requirements.temporal import check_temporal_objects
from giftcert.requirements.topics import TopicRequirement, find_topics
from giftcert.settings import Settings
from giftcert.storage.database import Database

EVERY_SECONDS, UNTIL_THERE_SECONDS = 60.0, 5.0
LONGEST_CHECK_SECONDS = 30.0
SOURCE = "requirements"
MISSING = Gauge("giftcert_requirements_missing", "What this process lacks, by whose it is to make", ["maker"])
_log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[list[Finding]]]


def of_database(database: Database) -> dict[str, Check]:
    """Return the check of PostgreSQL."""

    async def check() -> list[Finding]:
        async with database.connection() as connection:
            return await check_database_objects(connection)

    return {POSTGRESQL: check}


def of_temporal(client: Client, settings: Settings) -> dict[str, Check]:
    """Return the check of Temporal."""
    return {TEMPORAL: partial(check_temporal_objects, client, settings)}


def of_topics(settings: Settings, *topics: TopicRequirement) -> dict[str, Check]:
    """Return the check of topics."""
    return {KAFKA: partial(find_topics, settings, topics)}


@asynccontextmanager
async def watching(health: Health, checks: Mapping[str, Check]) -> AsyncIterator[None]:
    """Look while the context lasts. Until a server has been looked at for once, the process is not ready."""
    async with in_background(*(_Watch(health, server, check).run() for server, check in checks.items())):
        yield


@dataclass(slots=True)
class _Watch:
    health: Health
    server: str
    check: Check
    _found: frozenset[Finding] = field(default=frozenset(), init=False)

    async def run(self) -> NoReturn:
        self.health.stands_still(self.server, "what is needed there was not looked at yet", source=SOURCE)
        while True:
            try:
                async with asyncio.timeout(LONGEST_CHECK_SECONDS):
                    found = frozenset(await self.check())
            except Exception as error:  # noqa: BLE001 - a server that is away is noticed by others; its text may quote
                _log.debug("requirements cannot be compared", server=self.server, error=type(error).__name__)
                pause = UNTIL_THERE_SECONDS
            else:
                self.health.goes_on(self.server, source=SOURCE)
                self._say(found)
                pause = UNTIL_THERE_SECONDS if any(one.stops for one in found) else EVERY_SECONDS
            await asyncio.sleep(pause)

    def _say(self, found: frozenset[Finding]) -> None:
        stopping = {one.subject: f"{one.wrong}: {one.maker}" for one in found if one.stops}
        for subject, reason in stopping.items():
            self.health.stands_still(subject, reason, source=SOURCE)
        for subject in {one.subject for one in self._found if one.stops} - stopping.keys():
            self.health.goes_on(subject, source=SOURCE)
        for one in sorted(found - self._found, key=lambda one: one.subject):
            _log.error(f"what is needed is not as it must be: {one.line}", server=one.server)
        for one in sorted(self._found - found, key=lambda one: one.subject):
            _log.info(f"what was needed is there now: {one.subject}", server=one.server)
        for maker in {one.maker for one in found | self._found}:
            MISSING.labels(maker).set(sum(one.maker is maker for one in found))
        self._found = found

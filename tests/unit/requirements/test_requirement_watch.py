"""A process looks for what it lacks: what stops it keeps it from being ready, the rest is only said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from giftcert.health import Health
from giftcert.requirements import watch
from giftcert.requirements.finding import Finding, Maker
from tests.processes import holds

TOPIC = Finding("Kafka", "topic All_Payments", "is missing", Maker.PAYMENTS, stops=True)
INDEX = Finding("PostgreSQL", "index pending_since", "is missing", Maker.DATABASE)


class Server:
    """Lacks what a test says, or is away."""

    def __init__(self, *lacks: Finding) -> None:
        self.lacks, self.away, self.looks = list(lacks), False, 0

    async def look(self) -> list[Finding]:
        self.looks += 1
        if self.away:
            raise OSError("away")
        return self.lacks


@asynccontextmanager
async def watched(server: Server) -> AsyncIterator[Health]:
    health = Health()
    health.ready()
    async with watch.watching(health, {"Kafka": server.look}):
        await asyncio.sleep(0)
        yield health


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.001)
    monkeypatch.setattr(watch, "UNTIL_THERE_SECONDS", 0.001)


async def test_what_stops_a_process_keeps_it_from_being_ready_until_it_is_there() -> None:
    server = Server(TOPIC)
    async with watched(server) as health:
        await holds(lambda: health.readiness().reasons == {"topic All_Payments": "is missing: Payments"})
        server.lacks = []
        await holds(lambda: health.readiness().is_well)


async def test_what_is_there_at_last_but_not_as_it_should_be_stops_nobody_any_more() -> None:
    server = Server(TOPIC)
    async with watched(server) as health:
        await holds(lambda: not health.readiness().is_well)
        server.lacks = [
            replace(TOPIC, wrong="is forgotten", stops=False),
            replace(TOPIC, wrong="x", stops=False),
        ]
        await holds(lambda: health.readiness().is_well)
        assert watch.MISSING.labels(Maker.PAYMENTS)._value.get() == 2


async def test_what_is_only_worse_than_it_should_be_is_counted_and_stops_nobody() -> None:
    server = Server(INDEX)
    async with watched(server) as health:
        await holds(lambda: server.looks > 1)
        assert health.readiness().is_well
        assert watch.MISSING.labels(Maker.DATABASE)._value.get() == 1
        server.lacks = []
        await holds(lambda: watch.MISSING.labels(Maker.DATABASE)._value.get() == 0)


async def test_a_process_is_not_ready_before_it_has_looked_and_stays_so_when_the_server_goes_away() -> None:
    server = Server()
    server.away = True
    async with watched(server) as health:
        await holds(lambda: server.looks > 1)
        assert health.readiness().reasons == {"Kafka": "what is needed there was not looked at yet"}
        server.away = False
        await holds(lambda: health.readiness().is_well)
        server.away = True
        looks = server.looks
        await holds(lambda: server.looks > looks + 1)
        assert health.readiness().is_well, "that it is away others say"

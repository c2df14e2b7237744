import asyncio
from dataclasses import dataclass

import pytest

from giftcert.health import STANDS_STILL, Health, Probe, probing
from giftcert.storage.database import StandstillError
from tests.processes import holds


@dataclass
class Seconds:
    """A clock that a test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def ready_health() -> Health:
    health = Health(Seconds())
    health.ready()
    return health


def test_a_process_is_not_ready_until_it_has_begun_to_work() -> None:
    health = Health()
    assert health.readiness().reasons == {"start": "it has not begun to work yet"}
    health.ready()
    assert health.readiness().is_well


def test_every_obstacle_is_named_with_its_reason_until_whoever_set_it_takes_it_away() -> None:
    health = ready_health()
    health.stands_still("Kafka", "it fails: OSError")
    health.stands_still("Kafka", "it does not answer within 5 s", source="probe")
    health.stands_still("topic All_Payments", "it is missing")
    health.goes_on("Kafka")
    assert health.readiness().reasons == {
        "Kafka": "it does not answer within 5 s",
        "topic All_Payments": "it is missing",
    }
    assert health.waiting_for == "Kafka, topic All_Payments"
    health.goes_on("Kafka", source="probe")
    health.goes_on("topic All_Payments")
    assert health.readiness().is_well


def test_a_server_that_is_away_is_no_reason_to_start_the_process_anew() -> None:
    health = ready_health()
    health.stands_still("PostgreSQL", "it does not answer within 2 s")
    assert health.liveness().is_well


def test_a_loop_that_goes_silent_is_a_reason_to_start_the_process_anew() -> None:
    clock = Seconds()
    health = Health(clock)
    health.beat("consumer", within=60)
    health.beat("publisher 1", within=60)
    health.rest("publisher 1")
    clock.now = 60
    assert health.liveness().is_well
    clock.now = 75
    assert health.liveness().reasons == {"consumer": "it should have gone on 15 s ago"}
    health.beat("consumer", within=60)
    assert health.liveness().is_well


async def test_a_server_that_hangs_is_an_obstacle_and_none_once_it_answers() -> None:
    health, answers = ready_health(), asyncio.Event()
    probe = Probe(answers.wait, every=0.001, within=0.01)
    async with probing(health, {"PostgreSQL": probe}):
        await holds(lambda: not health.readiness().is_well)
        assert health.readiness().reasons == {"PostgreSQL": "it does not answer within 0.01 s"}
        answers.set()
        await holds(lambda: health.readiness().is_well)


async def test_a_server_that_refuses_is_named_without_what_it_said() -> None:
    async def refuse() -> None:
        raise ValueError("password 4000 of somebody")

    health = ready_health()
    async with probing(health, {"Temporal": Probe(refuse)}):
        await holds(lambda: not health.readiness().is_well)
    assert health.readiness().reasons == {"Temporal": "it cannot be used: ValueError"}


async def test_a_server_that_may_not_be_used_says_why() -> None:
    async def refuse() -> None:
        raise StandstillError("databaseBehind")

    health = ready_health()
    async with probing(health, {"PostgreSQL": Probe(refuse)}):
        await holds(lambda: not health.readiness().is_well)
    assert health.readiness().reasons["PostgreSQL"].endswith("were not compared yet: databaseBehind")


@pytest.mark.parametrize("part", ["Kafka", "PostgreSQL"])
def test_a_part_counts_as_standing_still_while_any_source_says_so(part: str) -> None:
    health = ready_health()
    health.stands_still(part, "it fails")
    health.stands_still(part, "it fails", source="probe")
    health.goes_on(part)
    assert STANDS_STILL.labels(part)._value.get() == 1
    health.goes_on(part, source="probe")
    assert STANDS_STILL.labels(part)._value.get() == 0

"""The computation of `docs/scaling.md`, and the queues that it simulates, against what is known of both."""

from dataclasses import replace
from statistics import fmean

import pytest

from benchmarks.queueing import Station, quantile, response_times
from benchmarks.scaling import (
    PAGE,
    Load,
    Measured,
    cores,
    filled,
    instances,
    partitions,
    price,
    shards,
    waits,
    walls,
)

LOAD = Load()


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measured.read()


def test_the_tables_of_the_page_are_what_the_measurements_give(measured: Measured) -> None:
    page = PAGE.read_text("utf-8")
    assert filled(page, measured, LOAD) == page, "run python -m benchmarks.scaling"


def test_the_mix_is_what_the_load_says() -> None:
    assert LOAD.redemptions == 75
    assert LOAD.goods == (1_000 - 2 * 50 - 75) * 1.5
    assert LOAD.times(2).rates == {kind: 2 * rate for kind, rate in LOAD.rates.items()}


def test_twice_the_load_keeps_twice_the_processors_busy(measured: Measured) -> None:
    once, twice = cores(measured, LOAD), cores(measured, LOAD.times(2))
    assert twice == pytest.approx({part: 2 * busy for part, busy in once.items()})
    assert once["worker"] == pytest.approx((50 + 75 / 2) * measured.cpu["worker"] / 1000)


def test_a_process_may_be_busy_for_less_than_its_time_and_one_of_two_may_go() -> None:
    assert [instances(busy) for busy in (0.1, 1.2, 1.3, 6.0)] == [2, 2, 3, 10]


def test_no_two_writes_meet_often_in_one_shard(measured: Measured) -> None:
    """1,050 writes of 5 ms keep 5.25 shards busy; ten times as many are busy for a tenth of the time."""
    assert shards(replace(measured, history_events=12), LOAD) == 64


def test_partitions_allow_twice_the_processes_of_ingest(measured: Measured) -> None:
    assert partitions(measured, LOAD) >= 2 * instances(cores(measured, LOAD)["ingest"])


def test_actions_cost_what_the_example_of_the_price_list_says() -> None:
    assert price(11_250_000) == 250 + 225 + 50
    assert price(0) == 0


def test_walls_come_in_their_order_and_lie_beyond_the_load(measured: Measured) -> None:
    factors = [factor for factor, _, _ in walls(measured, LOAD)]
    assert factors == sorted(factors)
    assert factors[0] > 1


def test_what_no_processor_works_is_less_than_the_measured_median(measured: Measured) -> None:
    assert 0 < waits(measured, LOAD) < measured.announced[0]


# Queues whose times are known in closed form -----------------------------------------------------------


@pytest.mark.parametrize(("servers", "expected"), [(1, 1 / (10 - 8)), (2, 0.1 / (1 - 0.4**2))])
def test_a_queue_of_one_kind_takes_as_long_as_erlang_says(servers: int, expected: float) -> None:
    """M/M/1: 1/(mu - lambda); M/M/2: (1/mu) / (1 - rho^2)."""
    station = Station("s", servers, {"sale": 0.1})
    times = response_times([station], {"sale": 8.0}, "sale", count=100_000)
    assert fmean(times) == pytest.approx(expected, rel=0.05)


def test_two_queues_in_a_row_take_as_long_as_both() -> None:
    """By Burke, what leaves an M/M/1 queue is a Poisson process again."""
    row = [Station("a", 1, {"sale": 0.05}), Station("b", 1, {"sale": 0.05})]
    times = response_times(row, {"sale": 10.0}, "sale", count=60_000)
    assert fmean(times) == pytest.approx(2 / (20 - 10), rel=0.05)


def test_other_work_makes_wait_and_what_a_station_does_not_do_passes_by() -> None:
    busy = Station("a", 1, {"sale": 0.01, "goods": 0.01})
    alone = response_times([busy], {"sale": 40.0}, "sale", count=20_000)
    beside = response_times([busy], {"sale": 40.0, "goods": 40.0}, "sale", count=20_000)
    assert fmean(beside) > 2 * fmean(alone)
    assert busy.utilization({"sale": 40.0, "goods": 40.0}) == pytest.approx(0.8)
    assert set(response_times([Station("b", 1, {"goods": 9.0})], {"sale": 1.0}, "sale", count=10)) == {0.0}


def test_a_quantile_lies_above_so_many() -> None:
    assert quantile(range(100), 0.99) == 99
    assert quantile(range(100), 0.5) == 50

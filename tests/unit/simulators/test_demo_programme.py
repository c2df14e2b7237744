import importlib
import inspect
import json
import pkgutil
from collections import Counter
from types import ModuleType

import pytest

from simulators.demo import stories
from simulators.demo.play import BRIEF_VALIDITY, PRODUCT, SHORT_RESERVATION, TINY_POOL
from simulators.demo.scenarios import SCENARIOS, channels_of, programme
from simulators.demo_environment import PRODUCTS_FILE, demo_environment


@pytest.mark.parametrize("wanted", [1, 40, 300, 1_000])
def test_the_programme_sells_at_least_what_was_asked_and_leaves_no_scenario_out(wanted: int) -> None:
    plan = programme(wanted)
    assert sum(scenario.sales * times for scenario, times in plan.items()) >= wanted
    assert set(plan) == set(SCENARIOS)
    assert min(plan.values()) >= 1


def test_300_sales_are_300_sales() -> None:
    assert sum(scenario.sales * times for scenario, times in programme(300).items()) == 300


def test_both_channels_sell_about_as_much() -> None:
    plan = programme(300)
    sold = Counter(
        channel
        for scenario, times in plan.items()
        for channel in channels_of(scenario, times)
        if scenario.sales
    )
    assert set(sold) == {"im", "pos"}
    assert min(sold.values()) > 100


def test_every_scenario_has_a_name_of_its_own() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_the_products_of_the_stories_are_in_the_demos_products_file() -> None:
    assert demo_environment()["GIFTCERT_PRODUCTS_FILE"] == str(PRODUCTS_FILE)
    known = {product["id"] for product in json.loads(PRODUCTS_FILE.read_text())}
    assert known >= {PRODUCT, BRIEF_VALIDITY, SHORT_RESERVATION, TINY_POOL}


def story_modules() -> list[ModuleType]:
    names = (module.name for module in pkgutil.iter_modules(stories.__path__))
    return [importlib.import_module(f"{stories.__name__}.{name}") for name in names if name != "parts"]


def test_every_story_that_is_written_is_played() -> None:
    written = {
        name
        for module in story_modules()
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert written == {scenario.story.__name__ for scenario in SCENARIOS}

"""A plugin of pytest for mutants: it begins with what took least time when mutmut ran all tests, as most die soon."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

_STATISTICS = Path("mutmut-stats.json")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Sort after all others did."""
    yield
    if _STATISTICS.exists():
        seconds = json.loads(_STATISTICS.read_text())["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0))

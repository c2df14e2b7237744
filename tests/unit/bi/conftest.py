from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.bi.bi_records import Filled


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """An empty file, to be filled."""
    found = Filled.at(tmp_path)
    yield found
    found.warehouse.close()

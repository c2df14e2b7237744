from collections.abc import Iterator
from pathlib import Path

import pytest

from giftcert.bi.warehouse import Warehouse
from tests.unit.bi.bi_records import Filled


@pytest.fixture
def filled() -> Iterator[Filled]:
    """An empty file, to be filled; in memory, as the disk is no part of what counts."""
    found = Filled(Warehouse.open(Path(":memory:"), "UTC"))
    yield found
    found.warehouse.close()

"""Stand-ins for parts, and what is reported of them."""

import sys
from pathlib import Path

import pytest
from stand_ins import READY, MakeProgram, Reports

from giftcert.embedded.keeper import Program
from giftcert.embedded.state_folder import StateFolder


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.create()
    return folder


@pytest.fixture
def stand_in(tmp_path: Path) -> MakeProgram:
    def make(code: str, name: str = "part", **changes: object) -> Program:
        mark = tmp_path / f"{name}.ready"

        async def is_ready() -> bool:
            return mark.exists()

        command = (sys.executable, "-c", code.format(ready=READY), str(mark))
        program = Program(name=name, command=command, is_ready=is_ready)
        return Program(**{field: getattr(program, field) for field in Program.__slots__} | changes)

    return make

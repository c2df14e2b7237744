"""docs/threat-model.md names the test that shows each defence, so each of them has to be there."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.unit.specs.mermaid import ROOT

SOURCE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
DEFENCES = "shown by"


def named(text: str) -> list[str]:
    return re.findall(r"`(tests/[^`]+)`", text)


def rows_of_defences() -> Iterator[str]:
    """Yield the rows of tables whose last column says what shows them."""
    for table in re.findall(r"((?:^\|.*\n)+)", SOURCE, re.MULTILINE):
        head, _, *rows = table.splitlines()
        if head.rstrip("| ").endswith(DEFENCES):
            yield from rows


def is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree = ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
    tests = {one.name for one in tree if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    return name in tests if name else any(one.startswith("test_") for one in tests)


@pytest.mark.parametrize("test", sorted(set(named(SOURCE))))
def test_every_test_that_the_threat_model_names_exists(test: str) -> None:
    assert is_there(test)


@pytest.mark.parametrize("row", list(rows_of_defences()))
def test_every_defence_names_a_test(row: str) -> None:
    assert named(row.rstrip("| ").rpartition("|")[2]), row


@pytest.mark.parametrize("test", ["tests/unit/test_nothing.py", "tests/unit/test_redaction.py::test_nothing"])
def test_a_test_that_does_not_exist_is_found(test: str) -> None:
    assert not is_there(test)

"""A check that nobody has seen fail may be one that cannot: for every rule there is a test that breaks it."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import giftcert.storage.verification
import giftcert.verification
from giftcert.storage.verification.checks import Rule
from giftcert.verification.repair import REPAIRABLE

ROOT = Path(__file__).resolve().parents[3]
TESTS = (ROOT / "tests/unit/verification", ROOT / "tests/integration/verification")


def test_every_rule_is_broken_by_a_test() -> None:
    modules = [
        import_module(f"{package.__name__}.{found.name}")
        for package in (giftcert.verification, giftcert.storage.verification)
        for found in iter_modules(package.__path__)
    ]
    values = [one for module in modules for one in vars(module).values()]
    tables = [one for value in values if isinstance(value, tuple) for one in value]
    rules = {one.name for one in (*values, *tables) if isinstance(one, Rule)}
    assert {"gap", "undecided", "numberInClear", "heldTwice", "unpublished", *REPAIRABLE} <= rules
    shown = "\n".join(path.read_text("utf-8") for folder in TESTS for path in folder.glob("*.py"))
    assert {rule for rule in rules if not re.search(rf"\b{rule}\b", shown)} == set()

"""A check that nobody has seen fail may be one that cannot: for every rule there is a test that breaks it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CODE = (ROOT / "giftcert/verification", ROOT / "giftcert/storage/verification")
TESTS = (ROOT / "tests/unit/verification", ROOT / "tests/integration/verification")
RULES = (
    r'Check\(\s*\d,\s*"(\w+)"',
    r'rule="(\w+)"',
    r'(?:_violation|_in_clear)\([^"()]*"(\w+)"',
    r'^RULE_\w+, RULE_\w+ = "(\w+)", "\w+"',
    r'^RULE_\w+, RULE_\w+ = "\w+", "(\w+)"',
    r'^UNDECIDED = "(\w+)"',
)


def text_of(folders: tuple[Path, ...]) -> str:
    return "\n".join(path.read_text("utf-8") for folder in folders for path in folder.glob("*.py"))


def test_every_rule_is_broken_by_a_test() -> None:
    code = text_of(CODE)
    rules = {rule for pattern in RULES for rule in re.findall(pattern, code, re.MULTILINE)}
    assert {"gap", "undecided", "numberInClear", "heldTwice", "unpublished"} <= rules
    shown = text_of(TESTS)
    assert {rule for rule in rules if not re.search(rf"\b{rule}\b", shown)} == set()

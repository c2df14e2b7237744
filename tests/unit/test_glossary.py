"""The glossary of both languages has the words that commands and pages show."""

import re
import tomllib
from pathlib import Path

import pytest

from giftcert.domain.certificate.state import RefundState, Status

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE
)


def test_it_has_every_status_and_refund_state_and_no_other() -> None:
    assert [word for word, *_ in ROWS] == [*Status, "blocked", *RefundState]


@pytest.mark.parametrize(("language", "column"), [("en", 1), ("ru", 2)])
def test_it_says_what_support_reads(language: str, column: int) -> None:
    texts = tomllib.loads((ROOT / f"giftcert/texts/{language}.toml").read_text("utf-8"))
    for row in ROWS:
        shown = [texts[key] for key in (f"status-{row[0]}", f"refund-{row[0]}") if key in texts]
        assert row[column] in {re.sub(r" \(\w+\)$", "", one) for one in shown}

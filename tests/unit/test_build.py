"""The id of a build: version, commit and a digest of the code; what is no code of the product makes no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from giftcert.build import _of_code, build_id, code_digest


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("GIFTCERT_BUILD_ID", raising=False)
    monkeypatch.delenv("GIFTCERT_COMMIT", raising=False)
    _of_code.cache_clear()
    yield
    _of_code.cache_clear()


def test_a_checkout_names_version_commit_and_code() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+-[0-9a-f]{12}-[0-9a-f]{8}", build_id())


def test_an_image_names_the_commit_that_it_was_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTCERT_COMMIT", "c0ffee" * 6)
    assert re.fullmatch(r"\d+\.\d+\.\d+-c0ffeec0ffee-[0-9a-f]{8}", build_id())


def test_whoever_builds_may_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTCERT_BUILD_ID", "release-7")
    assert build_id() == "release-7"


def test_only_code_of_the_product_makes_another_build(tmp_path: Path) -> None:
    rule = tmp_path / "giftcert" / "domain" / "rule.py"
    rule.parent.mkdir(parents=True)
    rule.write_text("ALLOWED = 1\n")
    before = code_digest(tmp_path)
    for other in ("tests/test_rule.py", "giftcert/domain/__pycache__/rule.pyc", "README.md"):
        path = tmp_path / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("anything")
        assert code_digest(tmp_path) == before
    rule.write_text("ALLOWED = 2\n")
    assert code_digest(tmp_path) != before
    rule.write_text("ALLOWED = 1\n")
    assert code_digest(tmp_path) == before
    rule.rename(rule.with_name("another_rule.py"))
    assert code_digest(tmp_path) != before

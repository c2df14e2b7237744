"""`make fuzz` says what came of its inputs, and where it cannot try them."""

import importlib.util

import pytest

from tests.fuzz.__main__ import WHERE_ATHERIS_IS, fuzz_topics


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason=WHERE_ATHERIS_IS)
def test_inputs_of_any_bytes_come_to_an_outcome_each(capfd: pytest.CaptureFixture[str]) -> None:
    assert fuzz_topics(300) == 0
    said = capfd.readouterr().out
    assert "300 inputs" in said
    assert "undecodableBatch" in said


def test_elsewhere_it_says_why_topics_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert fuzz_topics(300) == 0
    assert capsys.readouterr().out == f"{WHERE_ATHERIS_IS}\n"

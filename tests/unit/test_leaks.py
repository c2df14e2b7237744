"""The search for leaked secrets finds each form that they take, and nothing else."""

import base64
from pathlib import Path

import pytest

from tests import leaks
from tests.leaks import Secrets

NUMBER, CVC = "4539578763621486", "65432109"
SECRETS = Secrets([NUMBER], [CVC])


def in_base64(secret: str, before: int) -> str:
    return base64.b64encode(b"{" * before + secret.encode() + b"}").decode()


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (NUMBER, "plain"),
        (f"12{NUMBER}34", "plain"),
        ("4539 5787 6362 1486", "plain"),
        ("4539-5787-6362-1486", "plain"),
        (f'{{"cvc":"{CVC}"}}', "plain"),
        (f"{NUMBER} {CVC}", "plain"),
        (NUMBER.encode().hex(), "hex"),
        (f"\\\\x7b{CVC.encode().hex()}7d", "hex"),
        ("".join(f"%{ord(one):x}" for one in NUMBER), "escaped"),
        ("".join(f"\\u{ord(one):04x}" for one in CVC), "escaped"),
        *((in_base64(secret, before), "base64") for secret in (NUMBER, CVC) for before in range(3)),
        (base64.urlsafe_b64encode(f"\u00ff\u00fe{NUMBER}".encode()).decode(), "base64"),
    ],
)
def test_a_secret_is_found_in_each_form(text: str, form: str) -> None:
    assert form in SECRETS.in_bytes(f"before {text} behind".encode())


@pytest.mark.parametrize(
    "text",
    [
        "4539578763621487",
        f"1{CVC}",
        "************1486",
        "2026-11-23T10:00:00.654321Z",
        in_base64("6543", 0),
        in_base64("654321", 1),
    ],
)
def test_other_digits_are_no_secret(text: str) -> None:
    assert SECRETS.in_bytes(text.encode()) == set()


def test_a_secret_is_found_where_two_pieces_of_a_file_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "CHUNK", 1_000)
    file = tmp_path / "log"
    file.write_bytes(b"x" * 993 + NUMBER.encode() + b"x" * 2_000)
    assert SECRETS.in_file(file) == {"plain"}

"""`giftcert bi` says in a sentence what is missing."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from giftcert.bi.warehouse import WarehouseError
from giftcert.cli.bi import in_contract_format, report
from giftcert.cli.errors import CommandError
from giftcert.settings import Settings
from tests.unit.bi.bi_records import NOON, Filled


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one sale."""
    filled = Filled.at(tmp_path)
    filled.stream.issued()
    filled.load(NOON + timedelta(hours=1))
    filled.warehouse.close()
    return tmp_path / "bi.duckdb"


def test_a_report_is_written_where_it_is_wanted(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(file=file, output=tmp_path / "page.html", language="ru")

    assert "4\N{NO-BREAK SPACE}500,00" in (tmp_path / "page.html").read_text()
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'} written\n"


def test_without_a_file_it_says_which_command_makes_it(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"there is no file .*none.duckdb: `giftcert bi load` makes it"):
        report(file=tmp_path / "none.duckdb")


def test_the_language_is_that_of_the_settings_unless_another_is_named(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    russian = Settings(_env_file=None, language="ru")
    monkeypatch.setattr("giftcert.cli.bi.load_settings", lambda: russian)
    for named, expected in ((None, "ru"), ("en", "en")):
        report(file=file, output=tmp_path / "page.html", language=named)
        assert f'<html lang="{expected}">' in (tmp_path / "page.html").read_text()


def test_another_language_is_refused(file: Path) -> None:
    with pytest.raises(CommandError, match="--language is en or ru, not de"):
        report(file=file, language="de")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"holds": true}'])
def test_what_verify_did_not_print_is_refused(file: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "verify.json").write_text(content)
    with pytest.raises(CommandError, match="is not what `giftcert verify --json` printed"):
        report(file=file, verification=tmp_path / "verify.json")


def test_without_the_extra_it_says_how_to_install_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "giftcert.bi.report", None)
    with pytest.raises(CommandError, match=r"is not installed: `pip install 'giftcert\[bi\]'`"):
        report(file=file)


def test_payments_of_another_format_are_read_as_those_of_the_contract(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, payments_format="acquirer")
    translated = in_contract_format(settings)
    assert translated is not None
    assert in_contract_format(Settings(_env_file=None)) is None
    theirs = {
        "event_id": "pay-1",
        "event_type": "captured",
        "occurred_at": "2026-11-23T15:00:00+03:00",
        "channel": 2,
        "order_id": "IM-1",
        "payment_id": "P-1",
        "tender": "card",
        "amount": "4500.00",
        "currency": "RUB",
    }
    filled = Filled.at(tmp_path)
    filled.payments.write(translated(json.dumps(theirs).encode()).decode())
    filled.payments.write(translated(b"no message").decode())
    filled.load()

    said = "SELECT event_type, occurred_at, channel, payment_id, amount FROM payments"
    assert filled.query(said) == [("payment.captured", NOON, "pos", "P-1", 450_000)]
    assert filled.query("SELECT count(*) FROM unread") == [(1,)]
    filled.warehouse.close()

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from giftcert.cli.config import env_example
from giftcert.embedded.stack import embedded_parts
from giftcert.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GIFTCERT_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_set_means_embedded() -> None:
    assert embedded_parts(Settings()) == {"postgres", "temporal", "kafka"}


def test_an_address_that_is_set_makes_that_part_external(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTCERT_TEMPORAL_ADDRESS", "temporal:7233")
    assert embedded_parts(Settings()) == {"postgres", "kafka"}


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTCERT_DATABASE_URL", "")
    assert "postgres" in embedded_parts(Settings())


@pytest.mark.parametrize("url", ["mysql://a:hunter2@b/c", "db:5432", "postgresql:/hunter2"])
def test_an_address_that_is_no_postgresql_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("GIFTCERT_DATABASE_URL", url)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert refused.value.errors()[0]["loc"] == ("database_url",)


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if "_per_" in name])
def test_what_is_no_rate_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"GIFTCERT_{name.upper()}", "often")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert refused.value.errors()[0]["loc"] == (name,)


@pytest.mark.parametrize("name", ["refund_stuck_after", "escalation_longest"])
def test_alerts_that_would_follow_each_other_without_end_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"GIFTCERT_{name.upper()}", "0")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert refused.value.errors()[0]["loc"] == (name,)


def test_the_example_file_names_every_setting_with_its_default() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), (
        "run: giftcert config --example > .env.example"
    )


def test_the_example_file_read_back_gives_the_defaults(tmp_path: Path) -> None:
    uncommented = [
        line.removeprefix("#") for line in env_example().splitlines() if line.startswith("#GIFTCERT_")
    ]
    (tmp_path / "all.env").write_text("\n".join(uncommented))
    assert Settings(_env_file=tmp_path / "all.env") == Settings()


@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if field.annotation is timedelta]
)
@pytest.mark.parametrize("text", ["90", "90.0", "PT90S"])
def test_a_duration_is_plain_seconds_or_iso_8601(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"GIFTCERT_{name.upper()}", text)
    assert getattr(Settings(), name) == timedelta(seconds=90)


def test_support_gets_a_link_to_the_refunds_that_wait_for_a_person() -> None:
    settings = Settings(_env_file=None, temporal_ui_url="https://ui.example", temporal_namespace="gifts")
    wanted = urlsplit(settings.refund_list_url)
    assert wanted.geturl().startswith("https://ui.example/namespaces/gifts/workflows?query=")
    assert parse_qs(wanted.query) == {
        "query": ['`RefundState`="pendingDetails" AND `ExecutionStatus`="Running"']
    }


def test_the_page_where_people_decide_is_that_of_the_api_unless_another_is_named() -> None:
    own = Settings(_env_file=None, api_port=8081)
    assert own.refund_page("case-1") == "http://127.0.0.1:8081/docs#/refunds/resolveRefund"
    crm = Settings(_env_file=None, refund_page_url="https://crm.example/refunds/{refundCaseId}?x=1")
    assert crm.refund_page("case-1") == "https://crm.example/refunds/case-1?x=1"

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from giftcert.cli.config import env_example
from giftcert.cli.errors import exit_code_of
from giftcert.embedded.stack import embedded_parts
from giftcert.setting_sources import given_settings, unknown_settings
from giftcert.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("GIFTCERT_"):
            monkeypatch.delenv(name)
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
    monkeypatch.setenv("GIFTCERT_VERIFICATION_LOCK", "90")  # no other may be shorter
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


SASL = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "gifts", "kafka_sasl_password": "x"}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (SASL, None),
        ({**SASL, "kafka_sasl_username": None}, "kafka_sasl_username"),
        ({**SASL, "kafka_sasl_password": None}, "kafka_sasl_password"),
        ({"kafka_ssl_keyfile": "key.pem"}, "kafka_ssl_keyfile"),
        ({"kafka_ssl_keyfile": "key.pem", "kafka_ssl_certfile": "own.pem"}, None),
        ({"database_owner_url": "postgresql://a@b/c"}, "database_owner_url"),
        ({"worker_channels": ("web",)}, "worker_channels"),
        ({"worker_channels": ("web",), "channels": ("web",)}, None),
        ({"direct_spend_channels": ("pos", "web")}, "direct_spend_channels"),
        ({"payments_channel_codes": {7: "web"}}, None),
        ({"payments_channel_codes": {7: "web"}, "payments_format": "acquirer"}, "payments_channel_codes"),
        ({"verification_lock": "PT2H", "verification_lock_longest": "PT1H"}, "verification_lock_longest"),
        ({"pool_replenish_to": 999}, "pool_replenish_to"),
        ({"pool_replenish_to": 1_000}, None),
        ({"bi_time_zone": "Mars/Olympus"}, "bi_time_zone"),
        ({"refund_page_url": "https://crm.example/refunds"}, "refund_page_url"),
        ({"temporal_address": "temporal"}, "temporal_address"),
        ({"temporal_address": "[::1]:7233"}, None),
        ({"kafka_bootstrap_servers": "a:9092, b"}, None),
        ({"kafka_bootstrap_servers": "kafka://a:9092"}, "kafka_bootstrap_servers"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(given: dict[str, Any], wrong: str | None) -> None:
    if wrong is None:
        Settings(**given)
        return
    with pytest.raises(ValidationError) as refused:
        Settings(**given)
    assert [one["loc"] for one in refused.value.errors()] == [(wrong,)]


def test_all_that_is_wrong_is_said_at_once_with_its_place_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".env").write_text("# ours\nGIFTCERT_DATABASE_URL=mysql://a:hunter2@b\nGIFTCERT_CHANNELS=im\n")
    monkeypatch.setenv("GIFTCERT_API_PORT", "99999")
    monkeypatch.setenv("GIFTCERT_WORKER_CHANNELS", '["web"]')  # nobody knows, as CHANNELS is wrong
    monkeypatch.setenv("GIFTCERT_VERIFICATION_LOCK", "P9D")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert exit_code_of(refused.value, debug=False) == 1
    said = capsys.readouterr().err
    assert said.startswith("giftcert: ")
    assert said.removeprefix("giftcert: ").rstrip().split("; ") == [
        "GIFTCERT_DATABASE_URL: must begin with postgresql:// (.env, line 2)",
        "GIFTCERT_API_PORT: Input should be less than or equal to 65535 (environment)",
        "GIFTCERT_CHANNELS: must be JSON, as in .env.example (.env, line 3)",
        "GIFTCERT_VERIFICATION_LOCK_LONGEST: must not be shorter than GIFTCERT_VERIFICATION_LOCK",
    ]


def test_each_setting_says_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("GIFTCERT_API_PORT=1\nGIFTCERT_API_HOST=::1\nGIFTCERT_LANGUAGE=ru\n")
    monkeypatch.setenv("GIFTCERT_API_HOST", "127.0.0.2")
    monkeypatch.setenv("giftcert_language", "")  # as good as none
    settings = Settings()
    assert (settings.api_port, settings.api_host, settings.language) == (1, "127.0.0.2", "ru")
    assert {name: one.place for name, one in given_settings().items()} == {
        "api_port": ".env, line 1",
        "api_host": "environment",
        "language": ".env, line 3",
    }


def test_a_variable_that_is_no_setting_is_named_with_the_one_that_may_be_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("GIFTCERT_DATABSE_URL=x\nOTHER=1\n")
    monkeypatch.setenv("GIFTCERT_QQ", "1")
    monkeypatch.setenv("GIFTCERT_BUILD_ID", "1.0.0")
    assert unknown_settings() == [
        "GIFTCERT_DATABSE_URL (.env, line 1) is no setting of this version; did you mean GIFTCERT_DATABASE_URL?",
        "GIFTCERT_QQ (environment) is no setting of this version",
    ]

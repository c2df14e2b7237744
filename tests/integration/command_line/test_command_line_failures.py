"""A command that fails says why in one line and ends non-zero."""

import pytest
from command_runs import RunCommand

from tests.processes import free_port


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["nonsense"], {}, "No such command"),
        (["up", "--ports", "some"], {}, "some"),
        (["demo", "--ports", "auto"], {}, "unrecognized arguments: --ports auto"),
        (["demo", "--sales", "many"], {}, "argument --sales"),
        (["token", "--role", "boss"], {}, "there is no role boss"),
        (["token", "--role", "ops", "--channel", "im"], {}, "--channel: goes with --role channel"),
        (["statsu"], {}, "Did you mean 'status'?"),
        (["status"], {}, "no stack runs on .giftcert: start `giftcert up`"),
        (["verify", "--by", "anna"], {}, "--by: goes with --repair"),
        (["quarantine", "show", "A/0/0", "--by", "anna"], {}, "--by: goes with --reveal"),
        (["quarantine", "list", "--partition", "0"], {}, "--partition: goes with --topic"),
        (["keys", "status"], {}, "keyring.json cannot be read"),
        (["migrate"], {}, "GIFTCERT_DATABASE_URL is not set and no stack runs"),
        (["worker"], {}, "GIFTCERT_DATABASE_URL is not set and no stack runs"),
        (["config"], {"api_port": "x"}, "GIFTCERT_API_PORT"),
        (["config"], {"database_url": "mysql://me:hunter2@db/x"}, "GIFTCERT_DATABASE_URL"),
        (["pool", "generate", "--product", "A", "--count", "0"], {}, "--count"),
        (["up"], {"database_url": "postgresql://me:hunter2@db/x"}, "GIFTCERT_DATABASE_URL is external"),
        (["up"], {"api_host": "192.0.2.1"}, "GIFTCERT_API_HOST=192.0.2.1"),
        (["up"], {"keyring": "nowhere.json"}, "GIFTCERT_KEYRING: nowhere.json cannot be read"),
        (["up"], {"jwt_jwks": "nowhere.json"}, "GIFTCERT_JWT_JWKS: nowhere.json cannot be read"),
        (["up"], {"state_dir": "/dev/null/state"}, "GIFTCERT_STATE_DIR: /dev/null/state cannot be made"),
        (["config"], {"channels": "im,pos"}, "GIFTCERT_CHANNELS: must be JSON"),
        (["config"], {"log_level": "loud"}, "GIFTCERT_LOG_LEVEL: must be DEBUG"),
        (
            ["config"],
            {"disclosures_per_caller": "many"},
            "GIFTCERT_DISCLOSURES_PER_CALLER: must be a number per",
        ),
    ],
)
def test_a_failure_is_one_line_without_secrets(
    cold_giftcert: RunCommand, arguments: list[str], settings: dict[str, str], words: str
) -> None:
    done = cold_giftcert(*arguments, **settings)
    assert done.returncode not in {0, None}
    assert words in done.stderr
    assert done.stderr.startswith("giftcert: ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr + done.stdout


def test_debug_shows_the_trace(cold_giftcert: RunCommand) -> None:
    done = cold_giftcert("--debug", "keys", "status")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("giftcert: ")


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("migrate", {"GIFTCERT_DATABASE_URL"}),
        ("setup", {"GIFTCERT_DATABASE_URL", "GIFTCERT_TEMPORAL_ADDRESS", "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS"}),
        ("up", {"GIFTCERT_KEYRING"}),
    ],
)
def test_a_server_that_is_not_there_is_named_by_its_setting(
    cold_giftcert: RunCommand, command: str, settings: set[str]
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    done = cold_giftcert(
        command,
        database_url=f"postgresql://me:hunter2@{nowhere}/x",
        temporal_address=nowhere,
        kafka_bootstrap_servers=nowhere,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert any(
        f"{name})" in done.stderr
        or f"{name}: nothing answers" in done.stderr
        or f"set {name} " in done.stderr
        for name in settings
    )
    assert "hunter2" not in done.stderr

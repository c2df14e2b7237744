"""Keys are made once, tokens are good, and nothing secret is printed."""

import json
import stat
from datetime import timedelta
from pathlib import Path

from command_runs import RunCommand

from giftcert.clock import utc_now
from giftcert.security.signing_keys import SigningKeys
from giftcert.security.tokens import TokenVerifier


def test_a_token_carries_its_roles_and_channels(giftcert: RunCommand, tmp_path: Path) -> None:
    assert giftcert("keys", "init").returncode == 0
    answer = giftcert("token", "--role", "channel", "--channel", "im", "--subject", "shop", "--json")
    token = json.loads(answer.stdout)["token"]
    keys = SigningKeys(str(tmp_path / ".giftcert" / "keys" / "jwks.json"))
    verifier = TokenVerifier(keys, "giftcert-embedded", "giftcert")
    caller = verifier.verify(token, utc_now() + timedelta(hours=1))
    assert (caller.subject, caller.roles, caller.channels) == (
        "shop",
        frozenset({"channel"}),
        frozenset({"im"}),
    )


def test_no_tokens_are_made_for_another_issuer(giftcert: RunCommand, tmp_path: Path) -> None:
    giftcert("keys", "init")
    done = giftcert("token", "--role", "ops", jwt_jwks=str(tmp_path / "company.json"))
    assert done.returncode == 1
    assert "another issuer" in done.stderr


def test_a_keyring_of_ones_own_is_made_once(giftcert: RunCommand, tmp_path: Path) -> None:
    path = tmp_path / "own" / "keyring.json"
    assert giftcert("keys", "init", keyring=str(path)).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    again = giftcert("keys", "init", keyring=str(path))
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert path.read_bytes() == before


def test_the_state_of_the_keys_shows_ids_and_no_key(giftcert: RunCommand, tmp_path: Path) -> None:
    giftcert("keys", "init")
    done = giftcert("keys", "status", "--json")
    shown = json.loads(done.stdout)
    assert shown["origin"] == "embedded"
    [version] = shown["masterKey"]["versions"]
    master = json.loads((tmp_path / ".giftcert" / "keys" / "keyring.json").read_text())["master"]
    assert int(version, 16) == master["primaryKeyId"]
    assert master["key"][0]["keyData"]["value"] not in done.stdout


def test_settings_are_shown_without_secrets(giftcert: RunCommand) -> None:
    done = giftcert("config", database_url="postgresql://me:hunter2@db/x", kafka_sasl_password="hunter3")
    assert done.returncode == 0
    assert "postgresql://me:***@db/x  (environment)" in done.stdout
    assert "hunter" not in done.stdout


def test_help_names_every_command_of_the_contract(giftcert: RunCommand) -> None:
    said = giftcert("--help").stdout
    for command in (
        "up",
        "demo",
        "api",
        "worker",
        "ingest",
        "dispatch",
        "migrate",
        "setup",
        "pool",
        "token",
        "keys",
    ):
        assert f" {command} " in said


def test_a_group_without_a_command_shows_its_help_and_nothing_else(giftcert: RunCommand) -> None:
    done = giftcert("pool")
    assert (done.returncode, done.stderr) == (2, "")
    assert " generate " in done.stdout

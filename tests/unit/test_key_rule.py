"""Keys of the embedded stack serve this machine only."""

from pathlib import Path

import pytest

from giftcert.embedded.addresses import Addresses, refuse_embedded_keys, save_addresses
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.security.key_files import KeyFileError
from giftcert.security.keyring import Keyring
from giftcert.security.keys import EmbeddedKeys
from giftcert.security.tokens import create_signing_keys
from giftcert.settings import Settings

DATABASE = "postgresql://giftcert:hunter2@db:5432/giftcert"


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedKeys:
    keys = EmbeddedKeys.of(settings_of(tmp_path))
    keys.ensure()
    return keys


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Path | str]:
    Keyring.create(tmp_path / "own.json")
    create_signing_keys(tmp_path / "private.json", tmp_path / "own-jwks.json", embedded=False)
    return {"keyring": tmp_path / "own.json", "jwt_jwks": str(tmp_path / "own-jwks.json")}


def settings_of(state_dir: Path, **changes: object) -> Settings:
    return Settings.model_validate({"state_dir": state_dir, **changes})


def test_nothing_external_may_run_on_embedded_keys(tmp_path: Path) -> None:
    refuse_embedded_keys(settings_of(tmp_path))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"database_url": DATABASE}, "GIFTCERT_DATABASE_URL is external"),
        ({"temporal_address": "temporal:7233"}, "GIFTCERT_TEMPORAL_ADDRESS is external"),
        ({"kafka_bootstrap_servers": "kafka:9092"}, "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS is external"),
        ({"api_host": "192.0.2.1"}, "GIFTCERT_API_HOST=192.0.2.1 can be reached by others"),
        ({"api_host": "gift.example.com"}, "can be reached by others"),
    ],
)
def test_anything_external_refuses_embedded_keys_in_one_line(
    tmp_path: Path, embedded: EmbeddedKeys, changes: dict[str, str], named: str
) -> None:
    with pytest.raises(StackError, match=named) as unset:
        refuse_embedded_keys(settings_of(tmp_path, **changes))
    copied = settings_of(tmp_path, keyring=embedded.keyring, jwt_jwks=str(embedded.jwks), **changes)
    with pytest.raises(StackError, match=named):
        refuse_embedded_keys(copied)
    assert "GIFTCERT_KEYRING" in str(unset.value)
    assert "hunter2" not in str(unset.value)


@pytest.mark.parametrize("missing", ["keyring", "jwt_jwks"])
def test_each_of_the_two_keys_must_be_of_ones_own(
    tmp_path: Path, embedded: EmbeddedKeys, own: dict[str, Path | str], missing: str
) -> None:
    embedded_ones = {"keyring": embedded.keyring, "jwt_jwks": str(embedded.jwks)}
    keys = {**own, missing: embedded_ones[missing]}
    with pytest.raises(StackError, match=f"set GIFTCERT_{missing.upper()} to keys of your own"):
        refuse_embedded_keys(settings_of(tmp_path, database_url=DATABASE, **keys))


def test_ones_own_keys_serve_everywhere(tmp_path: Path, own: dict[str, Path | str]) -> None:
    refuse_embedded_keys(settings_of(tmp_path, database_url=DATABASE, api_host="192.0.2.1", **own))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_loopback_reaches_nobody_else(tmp_path: Path, host: str) -> None:
    refuse_embedded_keys(settings_of(tmp_path, api_host=host))


def test_an_address_of_the_running_stack_is_not_external(tmp_path: Path) -> None:
    StateFolder(tmp_path).create()
    settings = settings_of(tmp_path, database_url=DATABASE)
    save_addresses(Addresses(database_url=DATABASE), settings)
    refuse_embedded_keys(settings)
    with pytest.raises(StackError):
        refuse_embedded_keys(settings_of(tmp_path, database_url=DATABASE + "2"))


def test_keys_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, database_url=DATABASE, keyring=tmp_path / "absent.json")
    with pytest.raises(KeyFileError, match=r"absent\.json"):
        refuse_embedded_keys(settings)

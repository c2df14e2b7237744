import stat
from pathlib import Path

import pytest

from giftcert.security.key_files import KeyFileError
from giftcert.security.keyring import Keyring, SealError

CERTIFICATE = b"0190d5a0-0000-7000-8000-000000000001"
OTHER_CERTIFICATE = b"0190d5a0-0000-7000-8000-000000000002"


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(tmp_path_factory.mktemp("keys") / "keyring.json")


def test_a_sealed_cvc_opens_for_its_own_certificate(keyring: Keyring) -> None:
    assert keyring.open(keyring.seal("123456", CERTIFICATE), CERTIFICATE) == "123456"


def test_a_sealed_cvc_does_not_open_for_another_certificate(keyring: Keyring) -> None:
    sealed = keyring.seal("123456", CERTIFICATE)
    with pytest.raises(SealError, match="GIFTCERT_KEYRING"):
        keyring.open(sealed, OTHER_CERTIFICATE)


def test_a_changed_seal_does_not_open(keyring: Keyring) -> None:
    sealed = bytearray(keyring.seal("123456", CERTIFICATE))
    sealed[-1] ^= 1
    with pytest.raises(SealError):
        keyring.open(bytes(sealed), CERTIFICATE)


def test_the_same_cvc_never_seals_to_the_same_bytes(keyring: Keyring) -> None:
    assert keyring.seal("123456", CERTIFICATE) != keyring.seal("123456", CERTIFICATE)


def test_a_seal_does_not_show_the_cvc(keyring: Keyring) -> None:
    assert b"123456" not in keyring.seal("123456", CERTIFICATE)


def test_a_loaded_keyring_opens_and_finds_what_the_first_one_sealed(tmp_path: Path) -> None:
    first = Keyring.create(tmp_path / "keyring.json")
    second = Keyring.load(tmp_path / "keyring.json")
    assert second.open(first.seal("123456", CERTIFICATE), CERTIFICATE) == "123456"
    assert second.fingerprint("4000000000000002") == first.fingerprint("4000000000000002")
    assert second.identity == first.identity


def test_another_keyring_neither_opens_nor_finds(keyring: Keyring, tmp_path: Path) -> None:
    other = Keyring.create(tmp_path / "keyring.json")
    with pytest.raises(SealError):
        other.open(keyring.seal("123456", CERTIFICATE), CERTIFICATE)
    assert other.fingerprint("4000000000000002") != keyring.fingerprint("4000000000000002")
    assert other.identity != keyring.identity


def test_only_the_owner_reads_a_keyring(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_keyring_is_never_replaced_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="exists already"):
        Keyring.create(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["keyring.json"]


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}", '{"sealing": "{}", "lookup": "{}"}'])
def test_a_file_that_is_no_keyring_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(content)
    with pytest.raises(KeyFileError, match=r"keyring\.json"):
        Keyring.load(path)


def test_a_missing_keyring_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"absent\.json cannot be read"):
        Keyring.load(tmp_path / "absent.json")


def test_a_keyring_remembers_that_an_embedded_stack_made_it(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "keyring.json", origin="embedded")
    assert Keyring.load(tmp_path / "keyring.json").origin == "embedded"

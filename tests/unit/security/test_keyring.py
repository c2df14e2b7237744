import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from giftcert.security.data_keys import DataKey, Purpose, SealError, key_id_of
from giftcert.security.key_files import KeyFileError
from giftcert.security.keyring import Keyring
from giftcert.security.master_keys import new_keyset, rotated, version_of

CERTIFICATE = b"0190d5a0-0000-7000-8000-000000000001"
OTHER_CERTIFICATE = b"0190d5a0-0000-7000-8000-000000000002"


@pytest.fixture(scope="module")
def key() -> DataKey:
    return DataKey.create()


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(tmp_path_factory.mktemp("keys") / "keyring.json")


# Seals --------------------------------------------------------------------------------------------


def test_a_sealed_cvc_opens_for_its_own_certificate(key: DataKey) -> None:
    assert key.open(key.seal(b"123456", Purpose.CVC, CERTIFICATE), Purpose.CVC, CERTIFICATE) == b"123456"


@pytest.mark.parametrize("purpose", set(Purpose) - {Purpose.CVC})
def test_a_seal_in_another_column_does_not_open(key: DataKey, purpose: Purpose) -> None:
    with pytest.raises(SealError, match="sealed for something else"):
        key.open(key.seal(b"123456", Purpose.CVC, CERTIFICATE), purpose, CERTIFICATE)


def test_a_seal_in_another_row_does_not_open(key: DataKey) -> None:
    with pytest.raises(SealError):
        key.open(key.seal(b"123456", Purpose.CVC, CERTIFICATE), Purpose.CVC, OTHER_CERTIFICATE)


def test_a_changed_seal_does_not_open(key: DataKey) -> None:
    sealed = bytearray(key.seal(b"123456", Purpose.CVC, CERTIFICATE))
    sealed[-1] ^= 1
    with pytest.raises(SealError):
        key.open(bytes(sealed), Purpose.CVC, CERTIFICATE)


def test_a_seal_that_names_another_key_does_not_open(key: DataKey) -> None:
    other = DataKey.create()
    sealed = key.seal(b"123456", Purpose.CVC, CERTIFICATE)
    renamed = sealed[:1] + other.key_id.to_bytes(4) + sealed[5:]
    for one in (key, other):
        with pytest.raises(SealError):
            one.open(renamed, Purpose.CVC, CERTIFICATE)


def test_a_seal_names_its_key_and_shows_no_secret(key: DataKey) -> None:
    first, second = (key.seal(b"123456", Purpose.CVC, CERTIFICATE) for _ in range(2))
    assert key_id_of(first) == key.key_id
    assert first != second
    assert b"123456" not in first


# The keyring ----------------------------------------------------------------------------------------


async def test_a_loaded_keyring_unwraps_and_finds_what_the_first_one_wrapped(
    tmp_path: Path, key: DataKey
) -> None:
    first = Keyring.create(tmp_path / "keyring.json")
    second = Keyring.load(tmp_path / "keyring.json")
    sealed = key.seal(b"123456", Purpose.CVC, CERTIFICATE)
    unwrapped = await second.unwrap(key.key_id, await first.wrap(key))
    assert unwrapped.open(sealed, Purpose.CVC, CERTIFICATE) == b"123456"
    assert second.fingerprint("4000000000000002") == first.fingerprint("4000000000000002")
    assert second.identity == first.identity


async def test_another_keyring_neither_unwraps_nor_finds(
    keyring: Keyring, tmp_path: Path, key: DataKey
) -> None:
    other = Keyring.create(tmp_path / "keyring.json")
    with pytest.raises(SealError, match=r"keyring\.json is not the master key"):
        await other.unwrap(key.key_id, await keyring.wrap(key))
    assert other.fingerprint("4000000000000002") != keyring.fingerprint("4000000000000002")
    assert other.identity != keyring.identity


async def test_a_wrapped_key_under_the_name_of_another_does_not_unwrap(
    keyring: Keyring, key: DataKey
) -> None:
    with pytest.raises(SealError):
        await keyring.unwrap(DataKey.create().key_id, await keyring.wrap(key))


async def test_a_data_key_is_unwrapped_once(
    keyring: Keyring, key: DataKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = await keyring.wrap(key)
    first = await keyring.unwrap(key.key_id, wrapped)
    monkeypatch.setattr(keyring, "_unwrap", lambda *_: pytest.fail("unwrapped again"))
    assert await keyring.unwrap(key.key_id, wrapped) is first
    assert keyring.held(key.key_id) is first


async def test_a_rotated_master_key_is_seen_without_a_restart_and_opens_what_it_wrapped_before(
    tmp_path: Path,
) -> None:
    operator, process = (Keyring.create(tmp_path / "keyring.json"), Keyring.load(tmp_path / "keyring.json"))
    before, after = DataKey.create(), DataKey.create()
    old = await operator.wrap(before)
    operator.rotate_master()
    new = await operator.wrap(after)
    assert version_of(old) != version_of(new)
    assert operator.master_versions() == [version_of(old), version_of(new)]
    for keyring in (process, Keyring.load(tmp_path / "keyring.json")):
        assert (await keyring.unwrap(after.key_id, new)).key_id == after.key_id
        assert (await keyring.unwrap(before.key_id, old)).key_id == before.key_id
        assert keyring.identity == operator.identity
    assert version_of(await process.wrap(before)) == version_of(new)


async def test_a_destroyed_version_of_the_master_key_unwraps_nothing(tmp_path: Path, key: DataKey) -> None:
    keyring = Keyring.create(tmp_path / "keyring.json")
    old = await keyring.wrap(key)
    keyring.rotate_master()
    keyring.destroy_master(version_of(old))
    with pytest.raises(SealError):
        await Keyring.load(tmp_path / "keyring.json").unwrap(key.key_id, old)
    assert keyring.lookup_version == keyring.master_versions()[0]


@pytest.mark.parametrize("place", ["file", "variable"])
async def test_a_master_key_may_lie_apart_from_the_keyring(tmp_path: Path, place: str, key: DataKey) -> None:
    master = str(tmp_path / "master.json") if place == "file" else json.dumps(new_keyset())
    keyring = Keyring.create(tmp_path / "keyring.json", master_key=master)
    assert "master" not in json.loads((tmp_path / "keyring.json").read_text())
    wrapped = await keyring.wrap(key)
    again = Keyring.load(tmp_path / "keyring.json", master)
    assert (await again.unwrap(key.key_id, wrapped)).key_id == key.key_id
    with pytest.raises(KeyFileError, match="set GIFTCERT_MASTER_KEY"):
        Keyring.load(tmp_path / "keyring.json")
    with pytest.raises(KeyFileError, match="is not the master key"):
        Keyring.load(tmp_path / "keyring.json", json.dumps(new_keyset()))


async def test_a_master_key_in_a_file_of_its_own_rotates_there(tmp_path: Path, key: DataKey) -> None:
    master = str(tmp_path / "master.json")
    keyring = Keyring.create(tmp_path / "keyring.json", master_key=master)
    old = await keyring.wrap(key)
    keyring.rotate_master()
    assert version_of(await keyring.wrap(key)) == keyring.lookup_version == keyring.master_versions()[-1]
    assert (
        await Keyring.load(tmp_path / "keyring.json", master).unwrap(key.key_id, old)
    ).key_id == key.key_id


def test_a_master_key_in_a_variable_is_rotated_by_whoever_sets_it(tmp_path: Path) -> None:
    path, first = tmp_path / "keyring.json", new_keyset()
    keyring = Keyring.create(path, master_key=json.dumps(first))
    before = path.read_bytes()
    keyring.rotate_master()
    assert path.read_bytes() == before
    both = rotated(first)
    Keyring.load(path, json.dumps(both)).rotate_master()
    newest = {**both, "key": both["key"][1:]}
    assert Keyring.load(path, json.dumps(newest)).identity == keyring.identity


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "begins as JSON"),
        ("{}", "no keyset"),
        ("azure-kms://vault/key", "no KMS that is known"),
        ("gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k", r"tink\[gcpkms\]"),
        ("hcvault://vault:8200", "hcvault://HOST:PORT/MOUNT/keys/NAME"),
        ("hcvault+http://vault.example.com:8200/transit/keys/k", "use hcvault://"),
    ],
)
def test_a_master_key_that_cannot_be_used_is_said_in_one_line(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(KeyFileError, match=said) as refused:
        Keyring.create(tmp_path / "keyring.json", master_key=value)
    assert "\n" not in str(refused.value)


def test_a_keyring_remembers_that_an_embedded_stack_made_it(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "keyring.json", origin="embedded")
    assert Keyring.load(tmp_path / "keyring.json").origin == "embedded"
    Keyring.load(tmp_path / "keyring.json").rotate_master()
    assert Keyring.load(tmp_path / "keyring.json").origin == "embedded"


# Its file -----------------------------------------------------------------------------------------


def test_only_the_owner_reads_a_keyring_also_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keyring.json"
    keyring = Keyring.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    keyring.rotate_master()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["keyring.json"]


def test_a_keyring_is_never_replaced_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="exists already"):
        Keyring.create(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["keyring.json"]


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}", '{"master": {}, "lookup": "e30="}'])
def test_a_file_that_is_no_keyring_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"keyring\.json"):
        Keyring.load(path)


def test_a_missing_keyring_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"absent\.json cannot be read"):
        Keyring.load(tmp_path / "absent.json")


def refused(path: Path) -> str:
    with pytest.raises(KeyFileError) as error:
        Keyring.load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("mode", [0o644, 0o622, 0o640 | 0o020, 0o604, 0o602, 0o601])
def test_a_keyring_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path)
    path.chmod(mode)
    assert refused(path) == f"{path} can be read or changed by others (mode {mode:o}): run chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_keyring_in_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "open" / "keyring.json"
    Keyring.create(path)
    path.parent.chmod(mode)
    assert refused(path) == f"{path} can be replaced by others: run chmod go-w {path.parent}"
    path.parent.chmod(0o1777)  # there nobody replaces what is another's, as in the folder of mounted secrets
    assert Keyring.load(path).origin == "operator"


def test_a_keyring_behind_a_link_is_judged_where_it_lies(tmp_path: Path) -> None:
    path, link = tmp_path / "open" / "keyring.json", tmp_path / "keyring.json"
    Keyring.create(path)
    link.symlink_to(path)
    assert Keyring.load(link).origin == "operator"
    path.parent.chmod(0o777)
    assert "can be replaced by others" in refused(link)


@pytest.mark.parametrize(
    "change",
    [lambda path: path.chmod(0o644), lambda path: path.parent.chmod(0o777)],
)
def test_a_master_key_in_a_file_of_its_own_is_judged_like_a_keyring(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    master = tmp_path / "own" / "master.json"
    Keyring.create(tmp_path / "keyring.json", master_key=str(master))
    change(master)
    with pytest.raises(KeyFileError, match=r"master\.json can be"):
        Keyring.load(tmp_path / "keyring.json", str(master))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_keyring_of_another_user_is_refused_by_root_too(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path)
    os.chown(path, 65534, 65534)
    assert "belongs to another user" in refused(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_who_could_read_a_keyring_can_after_root_has_rotated_it(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    keyring = Keyring.create(path)
    os.chown(path, 0, 65534)
    path.chmod(0o640)
    keyring.rotate_master()
    after = path.stat()
    assert (after.st_gid, stat.S_IMODE(after.st_mode)) == (65534, 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of root")
def test_what_belongs_to_root_a_group_may_read_as_secrets_are_mounted(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.create(path)
    path.chmod(0o640)
    assert Keyring.load(path).origin == "operator"

"""Payloads encrypted on their way to Temporal: who opens them, and with which keys."""

from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from giftcert.security.key_files import KeyFileError
from giftcert.settings import Settings
from giftcert.temporal.client import DATA_CONVERTER, data_converter_of
from giftcert.temporal.payload_codec import (
    EncryptingCodec,
    PayloadKeyError,
    create_payload_keys,
    payload_codec_of,
)
from giftcert.temporal.workflow_starts import CertificateInput

ID = "0199a5f0-1111-7222-8333-444455556666"


def settings_with(keys: Path | None) -> Settings:
    return Settings(_env_file=None, temporal_payload_keys=keys)


def codec_of(keys: Path) -> EncryptingCodec:
    codec = payload_codec_of(settings_with(keys))
    assert codec is not None
    return codec


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_payload_keys(tmp_path / "keys.json")
    return tmp_path / "keys.json"


def test_the_key_that_encrypts_is_the_one_that_was_made(tmp_path: Path) -> None:
    made = create_payload_keys(tmp_path / "keys.json")
    sealed = codec_of(tmp_path / "keys.json").sealed(Payload(data=b"x"))
    assert sealed.metadata["encryption-key-id"] == str(made).encode()


async def test_a_payload_comes_back_and_shows_nothing_but_the_id_of_its_key(keys: Path) -> None:
    converter = data_converter_of(settings_with(keys))
    [sealed] = await converter.encode([CertificateInput(ID)])
    assert ID.encode() not in sealed.SerializeToString()
    assert sealed.metadata["encoding"] == b"binary/encrypted"
    assert sealed.metadata["encryption-key-id"].isdigit()
    assert await converter.decode([sealed], [CertificateInput]) == [CertificateInput(ID)]


async def test_the_message_of_a_failure_is_encrypted_too(keys: Path) -> None:
    converter = data_converter_of(settings_with(keys))
    failure = Failure()
    await converter.encode_failure(ApplicationError(f"no certificate {ID}"), failure)
    assert ID.encode() not in failure.SerializeToString()
    assert ID in str(await converter.decode_failure(failure))


def test_without_keys_payloads_go_in_clear() -> None:
    assert data_converter_of(settings_with(None)) is DATA_CONVERTER


async def test_what_was_stored_in_clear_is_read_after_encryption_began(keys: Path) -> None:
    [clear] = await DATA_CONVERTER.encode([CertificateInput(ID)])
    assert await codec_of(keys).decode([clear]) == [clear]


async def test_a_rotation_encrypts_by_a_new_key_and_opens_by_all(keys: Path, tmp_path: Path) -> None:
    create_payload_keys(tmp_path / "next.json", after := keys)
    old, new = codec_of(after), codec_of(tmp_path / "next.json")
    clear = [Payload(data=b"x")]
    [by_old], [by_new] = await old.encode(clear), await new.encode(clear)
    assert by_old.metadata["encryption-key-id"] != by_new.metadata["encryption-key-id"]
    assert await new.decode([by_old, by_new]) == clear * 2


async def test_a_key_that_is_missing_is_named(keys: Path, tmp_path: Path) -> None:
    create_payload_keys(tmp_path / "other.json")
    [sealed] = await codec_of(keys).encode([Payload(data=b"x")])
    key_id = sealed.metadata["encryption-key-id"].decode()
    with pytest.raises(PayloadKeyError, match=f"GIFTCERT_TEMPORAL_PAYLOAD_KEYS has no key {key_id}"):
        await codec_of(tmp_path / "other.json").decode([sealed])


async def test_a_payload_that_was_changed_does_not_open(keys: Path) -> None:
    [sealed] = await codec_of(keys).encode([Payload(data=b"x")])
    sealed.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
    with pytest.raises(PayloadKeyError):
        await codec_of(keys).decode([sealed])


def test_keys_are_for_their_owner_alone_and_never_replaced(keys: Path) -> None:
    assert keys.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match="exists already"):
        create_payload_keys(keys)


@pytest.mark.parametrize("content", ["{}", '{"key": 1}', "[]", "no json"])
def test_a_file_that_is_no_keyset_is_named_by_its_setting(tmp_path: Path, content: str) -> None:
    wrong = tmp_path / "keys.json"
    wrong.write_text(content)
    wrong.chmod(0o600)
    with pytest.raises(KeyFileError, match="GIFTCERT_TEMPORAL_PAYLOAD_KEYS"):
        payload_codec_of(settings_with(wrong))
    with pytest.raises(KeyFileError):
        create_payload_keys(tmp_path / "next.json", wrong)

"""The master key wraps data keys and look-up keys: a keyset of Tink in a file or a variable, or a key in a KMS."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import tink
from tink import aead, json_proto_keyset_format, secret_key_access

from giftcert.security.data_keys import SealError
from giftcert.security.key_files import KeyFileError, read_secret, replace_secret, write_secret
from giftcert.security.vault import KmsUnavailableError, VaultClient

aead.register()
KeysetJson: TypeAlias = dict[str, Any]
_CLOUDS: Final[Mapping[str, tuple[str, str]]] = {
    "aws-kms": ("tink.integration.awskms", "AwsKmsClient"),
    "gcp-kms": ("tink.integration.gcpkms", "GcpKmsClient"),
}
"""Tink's own clients, by the scheme of their URIs: each comes with an extra of the package."""
_VAULT_PREFIX = b"vault:"


class MasterKey:
    """Wraps and unwraps; the wrapped bytes name the version that wrapped them."""

    def __init__(self, primitive: aead.Aead, place: str, primary: str | None = None) -> None:
        self.place = place  # where it is, nothing secret
        self.primary = primary  # the version that wraps; a KMS knows its own
        self._aead = primitive

    @property
    def is_kms(self) -> bool:
        """Whether a KMS keeps it, and rotates it."""
        return self.primary is None

    def wrap(self, secret: bytes, what: bytes) -> bytes:
        """Return the secret encrypted, bound to what it is; raises ``KmsUnavailableError``."""
        try:
            wrapped: bytes = self._aead.encrypt(secret, what)
        except tink.TinkError as error:
            raise KmsUnavailableError(f"{self.place} wraps no key: {_first_line(error)}") from None
        return wrapped

    def unwrap(self, wrapped: bytes, what: bytes) -> bytes:
        """Return what was wrapped; raises ``SealError`` and ``KmsUnavailableError``."""
        try:
            secret: bytes = self._aead.decrypt(wrapped, what)
        except tink.TinkError as error:
            if self.is_kms and not wrapped.startswith(_VAULT_PREFIX):  # those clouds say all by one error
                raise KmsUnavailableError(f"{self.place} unwraps no key: {_first_line(error)}") from None
            raise SealError(
                f"a key does not open: {self.place} is not the master key that it was wrapped by"
                " (GIFTCERT_KEYRING, GIFTCERT_MASTER_KEY)"
            ) from None
        return secret


def version_of(wrapped: bytes) -> str:
    """Return which version of a master key wrapped something."""
    if wrapped.startswith(_VAULT_PREFIX):
        return wrapped.split(b":")[1].decode()
    return wrapped[1:5].hex() if wrapped[:1] == b"\x01" else "kms"


def new_keyset() -> KeysetJson:
    """Return a new master key of one version."""
    handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    content: KeysetJson = json.loads(json_proto_keyset_format.serialize(handle, secret_key_access.TOKEN))
    return content


def rotated(keyset: KeysetJson) -> KeysetJson:
    """Return a keyset with one more version, which wraps from now on; the others unwrap."""
    new = new_keyset()
    return {"primaryKeyId": new["primaryKeyId"], "key": [*keyset["key"], *new["key"]]}


def without(keyset: KeysetJson, version: str) -> KeysetJson:
    """Return a keyset without one of its versions."""
    return {**keyset, "key": [key for key in keyset["key"] if _version(key["keyId"]) != version]}


def versions(keyset: KeysetJson) -> list[str]:
    """Return the versions of a keyset, the primary one last."""
    ids = [key["keyId"] for key in keyset["key"]]
    return [_version(one) for one in sorted(ids, key=lambda one: one == keyset["primaryKeyId"])]


def of_keyset(keyset: KeysetJson, place: str) -> MasterKey:
    """Return the master key of a keyset, or raise ``KeyFileError``."""
    try:
        handle = json_proto_keyset_format.parse(json.dumps(keyset), secret_key_access.TOKEN)
        primary = _version(handle.keyset_info().primary_key_id)
        return MasterKey(handle.primitive(aead.Aead), place, primary)
    except (TypeError, tink.TinkError):
        raise KeyFileError(f"{place} holds no keyset for AEAD of Tink") from None


def of_setting(value: str) -> MasterKey:
    """Return the master key that ``GIFTCERT_MASTER_KEY`` names or is, or raise ``KeyFileError``."""
    if "://" in value:
        return MasterKey(_kms(value).get_aead(value), value)
    if value.lstrip().startswith("{"):
        return of_keyset(_parsed(value), "GIFTCERT_MASTER_KEY")
    return of_keyset(read_secret(Path(value)), value)


def file_of(value: str | None) -> Path | None:
    """Return the file that ``GIFTCERT_MASTER_KEY`` names, if it names one."""
    return None if value is None or "://" in value or value.lstrip().startswith("{") else Path(value)


def ensure_file(path: Path) -> None:
    """Make a master key in a file, if there is none; raises ``KeyFileError``."""
    if not path.exists():
        write_secret(path, new_keyset())


def rotate_file(path: Path) -> None:
    """Add a version to the master key in a file; raises ``KeyFileError``."""
    replace_secret(path, rotated(read_secret(path)))


def _kms(uri: str) -> tink.KmsClient:
    scheme = uri.partition("://")[0]
    if scheme.startswith("hcvault"):
        return VaultClient()
    if scheme not in _CLOUDS:
        raise KeyFileError(f"{scheme}:// is no KMS that is known: hcvault, {', '.join(_CLOUDS)} are")
    module, name = _CLOUDS[scheme]
    try:
        client: tink.KmsClient = getattr(importlib.import_module(module), name)(uri, None)
    except ImportError:
        extra = module.rpartition(".")[2]
        raise KeyFileError(f"{scheme}:// needs a package that is not installed: tink[{extra}]") from None
    return client


def _parsed(text: str) -> KeysetJson:
    try:
        content: KeysetJson = json.loads(text)
    except ValueError:
        raise KeyFileError("GIFTCERT_MASTER_KEY begins as JSON and is none") from None
    return content


def _version(key_id: int) -> str:
    return f"{key_id:08x}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it does not say why"])[0][:200]

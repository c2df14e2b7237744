"""The keyring: seals CVCs for rest and transit, and makes look-up fingerprints of numbers (Google Tink)."""

from pathlib import Path
from typing import Any, Literal, TypeAlias

import tink
from tink import aead, json_proto_keyset_format, prf, secret_key_access

from giftcert.security.key_files import KeyFileError, read_json, write_secret

Origin: TypeAlias = Literal["embedded", "operator"]
_KEY_STATUS = {1: "enabled", 2: "disabled", 3: "destroyed"}

aead.register()
prf.register()


class SealError(Exception):
    """A secret was sealed by another keyring, for another certificate, or was changed; the message never holds it."""


class Keyring:
    """Two keysets in one file: AES-256-GCM for sealing, which can be rotated, and HMAC-SHA-256 for look-up.

    The look-up keys stay when the sealing keys rotate: a fingerprint is compared, never opened.
    """

    def __init__(self, sealing: tink.KeysetHandle, lookup: tink.KeysetHandle, origin: Origin) -> None:
        self.origin: Origin = origin
        self._sealing = sealing
        self._lookup = lookup
        self._aead = sealing.primitive(aead.Aead)
        self._prf = lookup.primitive(prf.PrfSet).primary()

    @classmethod
    def create(cls, path: Path, origin: Origin = "operator") -> "Keyring":
        """Make new keys in a new file, or raise ``KeyFileError``."""
        sealing = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        lookup = tink.new_keyset_handle(prf.prf_key_templates.HMAC_SHA256)
        content = {
            "origin": origin,
            "sealing": json_proto_keyset_format.serialize(sealing, secret_key_access.TOKEN),
            "lookup": json_proto_keyset_format.serialize(lookup, secret_key_access.TOKEN),
        }
        write_secret(path, content)
        return cls(sealing, lookup, origin)

    @classmethod
    def load(cls, path: Path) -> "Keyring":
        """Read the keys from a file, or raise ``KeyFileError``."""
        content = read_json(path)
        try:
            sealing, lookup = _parse(content["sealing"]), _parse(content["lookup"])
            return cls(sealing, lookup, "embedded" if content.get("origin") == "embedded" else "operator")
        except (KeyError, TypeError, tink.TinkError):
            raise KeyFileError(f"{path} is no keyring: make one with `giftcert keys init`") from None

    def seal(self, secret: str, context: bytes) -> bytes:
        """Return the secret encrypted, bound to a context: the id of the certificate it belongs to."""
        sealed: bytes = self._aead.encrypt(secret.encode(), context)
        return sealed

    def open(self, sealed: bytes, context: bytes) -> str:
        """Return the secret that these keys sealed for this context, or raise ``SealError``."""
        try:
            secret: bytes = self._aead.decrypt(sealed, context)
        except tink.TinkError:
            raise SealError(
                "a sealed secret does not open: GIFTCERT_KEYRING is not the keyring it was sealed by"
            ) from None
        return secret.decode()

    def fingerprint(self, number: str) -> bytes:
        """Return 32 bytes that find a number again and tell nothing about it without the keyring."""
        digest: bytes = self._prf.compute(number.encode(), 32)
        return digest

    @property
    def identity(self) -> str:
        """A public name of this keyring that survives rotation, to tell a wrong one before it does harm."""
        digest: bytes = self._prf.compute(b"giftcert keyring identity", 8)
        return digest.hex()

    def key_ids(self) -> list[dict[str, Any]]:
        """Return id, status and primary flag of each sealing key, nothing secret."""
        info = self._sealing.keyset_info()
        return [
            {
                "id": key.key_id,
                "status": _KEY_STATUS.get(key.status, "unknown"),
                "primary": key.key_id == info.primary_key_id,
            }
            for key in info.key_info
        ]


def _parse(keyset: str) -> tink.KeysetHandle:
    return json_proto_keyset_format.parse(keyset, secret_key_access.TOKEN)

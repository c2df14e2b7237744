"""Data keys: each seals the secrets of a batch of the pool, or the inputs of a day (envelope encryption, Google Tink).

A seal begins as Tink's ciphertexts do: a byte 1 and the four bytes of the id of the data key.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import tink
from tink import aead, proto_keyset_format, secret_key_access

aead.register()
_ID = slice(1, 5)


class SealError(Exception):
    """A seal does not open: of another keyring, purpose or owner, or changed; the message never holds the secret."""


class Purpose(StrEnum):
    """What a seal is for; it opens for nothing else."""

    NUMBER = "number"
    CVC = "cvc"
    QUARANTINED_KEY = "quarantinedKey"
    QUARANTINED_VALUE = "quarantinedValue"
    ORIGINAL = "original"


def key_id_of(sealed: bytes) -> int:
    """Return the id of the data key that made a seal."""
    return int.from_bytes(sealed[_ID])


@dataclass(frozen=True, slots=True)
class DataKey:
    """An AES-256-GCM key in clear; it never leaves the memory of a process but wrapped by the master key."""

    key_id: int
    _handle: tink.KeysetHandle
    _aead: aead.Aead

    @classmethod
    def create(cls) -> Self:
        """Make a new key."""
        return cls._of(tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM))

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Return the key that was serialised; raises ``TinkError``."""
        return cls._of(proto_keyset_format.parse(content, secret_key_access.TOKEN))

    @classmethod
    def _of(cls, handle: tink.KeysetHandle) -> Self:
        return cls(handle.keyset_info().primary_key_id, handle, handle.primitive(aead.Aead))

    def serialise(self) -> bytes:
        """Return the key in clear, to be wrapped at once."""
        content: bytes = proto_keyset_format.serialize(self._handle, secret_key_access.TOKEN)
        return content

    def seal(self, secret: bytes, purpose: Purpose, owner: bytes) -> bytes:
        """Return the secret encrypted, bound to what it is for, to this key, and to whom it belongs."""
        sealed: bytes = self._aead.encrypt(secret, self._bound(purpose, owner))
        return sealed

    def open(self, sealed: bytes, purpose: Purpose, owner: bytes) -> bytes:
        """Return the secret that this key sealed for this purpose and owner, or raise ``SealError``."""
        try:
            secret: bytes = self._aead.decrypt(sealed, self._bound(purpose, owner))
        except tink.TinkError:
            raise SealError(
                "a sealed secret does not open: it was changed, or sealed for something else"
            ) from None
        return secret

    def _bound(self, purpose: Purpose, owner: bytes) -> bytes:
        return b"giftcert %b %d " % (purpose.encode(), self.key_id) + owner

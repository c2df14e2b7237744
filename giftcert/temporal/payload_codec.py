"""Payload codec: encrypts what goes into Temporal's histories, where a deployment wants that.

Its keys are a keyset of their own (Tink, AES-256-GCM), so whoever may read histories, as the codec server may, opens no
secrets of certificates: they are sealed within a payload too.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tink
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec
from tink import aead, json_proto_keyset_format, secret_key_access

from giftcert.security.key_files import KeyFileError, read_secret, write_secret
from giftcert.settings import Settings

ENCRYPTED = b"binary/encrypted"
KEY_ID = "encryption-key-id"
"""Where in a payload's metadata the key stands that opens it, for readers: Tink finds it by itself."""
_CONTEXT = b"giftcert temporal payload"
_SETTING = "GIFTCERT_TEMPORAL_PAYLOAD_KEYS"

aead.register()


class PayloadKeyError(Exception):
    """A payload was encrypted by a key that is not in the keyset, or was changed."""


class EncryptingCodec(PayloadCodec):
    """Encrypts by the keyset's primary key and opens by any of them; what was stored in clear stays readable."""

    def __init__(self, keyset: tink.KeysetHandle) -> None:
        self._aead = keyset.primitive(aead.Aead)
        self._key_id = str(keyset.keyset_info().primary_key_id).encode()

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt payloads whole, metadata included."""
        return [self.sealed(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open payloads; raises `PayloadKeyError`."""
        return [self.opened(payload) for payload in payloads]

    def opened(self, payload: Payload) -> Payload:
        """Return a payload as it was before it was encrypted, if it was; raises `PayloadKeyError`."""
        if payload.metadata.get("encoding") != ENCRYPTED:
            return payload
        try:
            return Payload.FromString(self._aead.decrypt(payload.data, _CONTEXT))
        except tink.TinkError:
            key_id = payload.metadata.get(KEY_ID, b"?").decode(errors="replace")
            raise PayloadKeyError(f"{_SETTING} has no key {key_id}, or the payload was changed") from None

    def sealed(self, payload: Payload) -> Payload:
        """Return a payload encrypted by the primary key."""
        sealed: bytes = self._aead.encrypt(payload.SerializeToString(), _CONTEXT)
        return Payload(metadata={"encoding": ENCRYPTED, KEY_ID: self._key_id}, data=sealed)


def payload_codec_of(settings: Settings) -> EncryptingCodec | None:
    """Return the codec of the settings, if they have one; a ``KeyFileError`` names the setting."""
    path = settings.temporal_payload_keys
    if path is None:
        return None
    try:
        keyset = json_proto_keyset_format.parse(json.dumps(read_secret(path)), secret_key_access.TOKEN)
        return EncryptingCodec(keyset)
    except (tink.TinkError, ValueError):
        raise KeyFileError(f"{_SETTING}: {path} is no keyset: make one with `giftcert codec keys`") from None
    except KeyFileError as error:
        raise KeyFileError(f"{_SETTING}: {error}") from error


def create_payload_keys(path: Path, earlier: Path | None = None) -> int:
    """Make a keyset in a new file, whose new key encrypts and the keys of an earlier file go on opening.

    Returns:
        The id of the new key.

    Raises:
        KeyFileError: a file exists already, or cannot be used.
    """
    made = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    content: dict[str, Any] = json.loads(json_proto_keyset_format.serialize(made, secret_key_access.TOKEN))
    content["key"] += _keys_of(earlier)
    write_secret(path, content)
    return int(content["primaryKeyId"])


def _keys_of(path: Path | None) -> Iterable[Any]:
    keys = [] if path is None else read_secret(path).get("key")
    if not isinstance(keys, list):
        raise KeyFileError(f"{path} is no keyset")
    return keys

"""The keyring: makes look-up fingerprints of numbers, and holds the data keys that the master key unwrapped."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal, TypeAlias

import tink
from tink import json_proto_keyset_format, prf, secret_key_access

from giftcert.security import master_keys
from giftcert.security.data_keys import DataKey, SealError
from giftcert.security.key_files import KeyFileError, read_secret, replace_secret, write_secret
from giftcert.security.master_keys import MasterKey, version_of

Origin: TypeAlias = Literal["embedded", "operator"]
_LOOKUP = b"giftcert lookup"

prf.register()


class Keyring:
    """A file with the look-up keys, wrapped by the master key; where that is not set elsewhere, it is in the file too.

    Look-up keys (HMAC-SHA-256) stay when all others rotate: a fingerprint is compared, never opened. Files that a
    rotation has replaced are read again before anything is wrapped, and when something does not unwrap.
    """

    def __init__(self, path: Path, master_key: str | None = None) -> None:
        """``master_key`` is as the setting GIFTCERT_MASTER_KEY; raises as ``load``."""
        self.path = path
        self._setting = master_key
        self._data_keys: dict[int, DataKey] = {}
        self._read = self._stamps()
        content = read_secret(path)
        self._master = self._master_of(content)
        self.origin: Origin = "embedded" if content.get("origin") == "embedded" else "operator"
        try:
            lookup = self._master.unwrap(b64decode(content["lookup"]), _LOOKUP)
            keyset = json_proto_keyset_format.parse(lookup.decode(), secret_key_access.TOKEN)
            self._prf = keyset.primitive(prf.PrfSet).primary()
        except (KeyError, TypeError, ValueError, tink.TinkError):
            raise _no_keyring(path) from None
        except SealError as error:
            raise KeyFileError(f"{path}: {error}") from None

    @classmethod
    def create(cls, path: Path, origin: Origin = "operator", master_key: str | None = None) -> "Keyring":
        """Make new keys in a new file, or raise ``KeyFileError`` or ``KmsUnavailableError``."""
        content: dict[str, Any] = {"origin": origin}
        if master_key is None:
            content["master"] = master_keys.new_keyset()
            master = master_keys.of_keyset(content["master"], str(path))
        else:
            if (file := master_keys.file_of(master_key)) is not None:
                master_keys.ensure_file(file)
            master = master_keys.of_setting(master_key)
        lookup = tink.new_keyset_handle(prf.prf_key_templates.HMAC_SHA256)
        serialised = json_proto_keyset_format.serialize(lookup, secret_key_access.TOKEN).encode()
        write_secret(path, {**content, "lookup": _text(master.wrap(serialised, _LOOKUP))})
        return cls(path, master_key)

    @classmethod
    def load(cls, path: Path, master_key: str | None = None) -> "Keyring":
        """Read the keys from a file, or raise ``KeyFileError`` or ``KmsUnavailableError``."""
        return cls(path, master_key)

    def fingerprint(self, number: str) -> bytes:
        """Return 32 bytes that find a number again and reveal nothing about it without the keyring."""
        digest: bytes = self._prf.compute(number.encode(), 32)
        return digest

    @property
    def identity(self) -> str:
        """A public name of this keyring that survives rotation, to detect a wrong one before it does harm."""
        digest: bytes = self._prf.compute(b"giftcert keyring identity", 8)
        return digest.hex()

    @property
    def master_key(self) -> MasterKey:
        """The master key as its file now is."""
        if self._stamps() != self._read:
            self._read = self._stamps()
            self._master = self._master_of(read_secret(self.path))
        return self._master

    def held(self, key_id: int) -> DataKey | None:
        """Return a data key that was unwrapped before."""
        return self._data_keys.get(key_id)

    def keep(self, key: DataKey) -> DataKey:
        """Hold a data key that is of this process alone."""
        self._data_keys[key.key_id] = key
        return key

    async def unwrap(self, key_id: int, wrapped: bytes) -> DataKey:
        """Return a data key, unwrapped once; raises ``SealError`` and ``KmsUnavailableError``."""
        if key_id not in self._data_keys:
            content = await asyncio.to_thread(self._unwrap, wrapped, _named(key_id))
            self._data_keys[key_id] = DataKey.parse(content)
        return self._data_keys[key_id]

    async def wrap(self, key: DataKey) -> bytes:
        """Return a data key wrapped by the master key as it now is; raises ``KmsUnavailableError``."""
        master = self.master_key
        return await asyncio.to_thread(master.wrap, key.serialise(), _named(key.key_id))

    def rotate_master(self) -> None:
        """Add a version to a master key in a file, and wrap the look-up keys by the newest; raises as ``create``.

        A KMS, and whoever sets a variable, rotates its own.
        """
        content, file = read_secret(self.path), self._master_file
        if file == self.path:
            content["master"] = master_keys.rotated(content["master"])
        elif file is not None:
            master_keys.rotate_file(file)
        master, wrapped = self._master_of(content), b64decode(content["lookup"])
        anew = master.wrap(master.unwrap(wrapped, _LOOKUP), _LOOKUP)
        if version_of(anew) != version_of(wrapped):
            replace_secret(self.path, {**content, "lookup": _text(anew)})

    def master_versions(self) -> list[str]:
        """Return the versions of a master key in a file, the one that wraps last; a KMS shows its own."""
        file = self._master_file
        return [] if file is None else master_keys.versions(self._keyset_in(file))

    @property
    def lookup_version(self) -> str:
        """The version of the master key that wraps the look-up keys."""
        return version_of(b64decode(read_secret(self.path)["lookup"]))

    def unused_versions(self, wrapping: AbstractSet[str]) -> list[str]:
        """Return the versions of the master key's file that wrap neither data keys nor the look-up keys, nor will."""
        needed = {*wrapping, self.lookup_version}
        return [one for one in self.master_versions()[:-1] if one not in needed]

    def destroy_master(self, version: str) -> None:
        """Take a version that wraps nothing out of the master key's file, or raise ``KeyFileError``."""
        file = self._master_file
        if file is not None:
            keyset = master_keys.without(self._keyset_in(file), version)
            replace_secret(file, {**read_secret(file), "master": keyset} if file == self.path else keyset)

    def _unwrap(self, wrapped: bytes, what: bytes) -> bytes:
        try:
            return self._master.unwrap(wrapped, what)
        except SealError:  # its file may have been replaced since
            return self.master_key.unwrap(wrapped, what)

    def _master_of(self, content: dict[str, Any]) -> MasterKey:
        if self._setting is None:
            if "master" not in content:
                raise KeyFileError(f"{self.path} holds no master key of its own: set GIFTCERT_MASTER_KEY")
            return master_keys.of_keyset(content["master"], str(self.path))
        if "master" in content:
            raise KeyFileError(f"{self.path} holds its master key itself: leave GIFTCERT_MASTER_KEY unset")
        return master_keys.of_setting(self._setting)

    @property
    def _master_file(self) -> Path | None:
        return self.path if self._setting is None else master_keys.file_of(self._setting)

    def _keyset_in(self, file: Path) -> master_keys.KeysetJson:
        content = read_secret(file)
        keyset: master_keys.KeysetJson = content["master"] if file == self.path else content
        return keyset

    def _stamps(self) -> list[tuple[int, int]]:
        files = {self.path, self._master_file or self.path}
        return [
            (one.st_ino, one.st_mtime_ns) for one in (file.stat() for file in sorted(files) if file.exists())
        ]


def _named(key_id: int) -> bytes:
    return b"giftcert data key %d" % key_id


def _no_keyring(path: Path) -> KeyFileError:
    return KeyFileError(f"{path} is no keyring: make one with `giftcert keys init`")


def _text(content: bytes) -> str:
    return b64encode(content).decode()

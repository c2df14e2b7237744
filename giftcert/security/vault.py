"""HashiCorp Vault's transit engine as a KMS of Tink: https://developer.hashicorp.com/vault/api-docs/secret/transit.

Tink's own integration makes no ``KmsClient`` and refuses associated data. Token and namespace come from Vault's own
environment variables, and may be left out where a Vault Agent on this machine adds them.
"""

import os
import re
from base64 import b64decode, b64encode
from typing import Any

import httpx
import tink
from tink import aead

from giftcert.security.key_files import KeyFileError

TIMEOUT_SECONDS = 5.0
_URI = re.compile(r"hcvault(?P<http>\+http)?://(?P<host>[^/]+)/(?P<mount>[^?#]+)/keys/(?P<name>[^/?#]+)")
_LOOPBACK = re.compile(r"(?:127(?:\.\d+){3}|localhost|\[::1\])(?::\d+)?")


class KmsUnavailableError(OSError):
    """The KMS does not answer, or refuses us; it may later, so this counts as an outage."""


class VaultClient(tink.KmsClient):  # type: ignore[misc] # Tink has no types
    """Knows ``hcvault://host:port/MOUNT/keys/NAME``, by HTTPS; ``hcvault+http://`` is for an agent on loopback."""

    def does_support(self, key_uri: str) -> bool:
        """Return whether a URI names a key in Vault."""
        return key_uri.startswith("hcvault")

    def get_aead(self, key_uri: str) -> aead.Aead:
        """Return what encrypts by a key in Vault, or raise ``KeyFileError``."""
        named = _URI.fullmatch(key_uri)
        if named is None:
            raise KeyFileError("a key in Vault is hcvault://HOST:PORT/MOUNT/keys/NAME")
        if named["http"] and not _LOOPBACK.fullmatch(named["host"]):
            raise KeyFileError(
                "hcvault+http:// is for an agent on 127.0.0.1 only: use hcvault://, which is HTTPS"
            )
        scheme = "http" if named["http"] else "https"
        return _TransitKey(f"{scheme}://{named['host']}/v1/{named['mount']}", named["name"])


class _TransitKey(aead.Aead):  # type: ignore[misc] # Tink has no types
    def __init__(self, engine: str, name: str) -> None:
        self._engine, self._name = engine, name

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        said = {"plaintext": _text(plaintext), "associated_data": _text(associated_data)}
        return str(self._ask("encrypt", said)["ciphertext"]).encode()

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        said = {"ciphertext": ciphertext.decode(), "associated_data": _text(associated_data)}
        return b64decode(self._ask("decrypt", said)["plaintext"])

    def _ask(self, what: str, said: dict[str, str]) -> dict[str, Any]:
        environment = {"X-Vault-Token": "VAULT_TOKEN", "X-Vault-Namespace": "VAULT_NAMESPACE"}
        headers = {name: os.environ[one] for name, one in environment.items() if os.environ.get(one)}
        url = f"{self._engine}/{what}/{self._name}"
        try:
            verify = os.environ.get("VAULT_CACERT") or True
            answer = httpx.post(url, json=said, headers=headers, timeout=TIMEOUT_SECONDS, verify=verify)
        except httpx.HTTPError as error:
            why = f": {error}".removesuffix(": ")
            raise KmsUnavailableError(f"Vault at {self._engine} does not answer{why}") from None
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise tink.TinkError(f"Vault refuses to {what} by {self._name}")
        if not answer.is_success:
            raise KmsUnavailableError(f"Vault at {self._engine} answers {answer.status_code} to {what}")
        data: dict[str, Any] = answer.json()["data"]
        return data


def _text(content: bytes) -> str:
    return b64encode(content).decode()

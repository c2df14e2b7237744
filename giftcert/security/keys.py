"""The keys that the settings name, or those that an embedded stack makes for itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from giftcert.security.key_files import KeyFileError
from giftcert.security.keyring import Keyring
from giftcert.security.signing_keys import SigningKeys
from giftcert.security.tokens import TokenVerifier, create_signing_keys
from giftcert.settings import Settings


class EmbeddedKeys:
    """The keys of an embedded stack, good for this machine only; ``jwks`` is the public half of ``private_key``."""

    def __init__(self, folder: Path, master_key: str | None = None) -> None:
        self.folder = folder
        self._master_key = master_key
        self.keyring = folder / "keyring.json"
        self.private_key = folder / "token-key.json"
        self.jwks = folder / "jwks.json"

    @classmethod
    def of(cls, settings: Settings) -> "EmbeddedKeys":
        """Return the keys of the stack that these settings describe."""
        return cls(settings.state_dir.resolve() / "keys", master_key_of(settings))

    def ensure(self) -> bool:
        """Make what is missing, and return whether anything was; ``KeyFileError`` where it cannot be written."""
        is_complete = self.keyring.exists() and self.jwks.exists()
        if not self.keyring.exists():
            Keyring.create(self.keyring, "embedded", self._master_key)
        if not self.jwks.exists():
            self.private_key.unlink(missing_ok=True)  # half a pair, left by a crash
            create_signing_keys(self.private_key, self.jwks, embedded=True)
        return not is_complete


def master_key_of(settings: Settings) -> str | None:
    """Return what the setting of the master key says."""
    return settings.master_key.get_secret_value() if settings.master_key else None


def keyring_of(settings: Settings) -> Keyring:
    """Return the keyring of these settings; a ``KeyFileError`` names the setting."""
    with _naming("GIFTCERT_KEYRING"):
        return Keyring.load(settings.keyring or EmbeddedKeys.of(settings).keyring, master_key_of(settings))


def token_verifier_of(settings: Settings) -> TokenVerifier:
    """Return the token check of these settings; a ``KeyFileError`` names the setting."""
    source = settings.jwt_jwks or str(EmbeddedKeys.of(settings).jwks)
    with _naming("GIFTCERT_JWT_JWKS"):
        return TokenVerifier(SigningKeys(source), settings.jwt_issuer, settings.jwt_audience)


def check_key_files(settings: Settings) -> None:
    """Raise ``KeyFileError`` for a key file that is set and cannot be used, before anything is started."""
    if settings.keyring is not None:
        keyring_of(settings)
    if settings.jwt_jwks is not None:
        token_verifier_of(settings)


@contextmanager
def _naming(setting: str) -> Iterator[None]:
    try:
        yield
    except KeyFileError as error:
        raise KeyFileError(f"{setting}: {error}") from error

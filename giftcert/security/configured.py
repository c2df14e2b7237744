"""The keyring and the token check that the settings name, or those that an embedded stack makes for itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from giftcert.security.key_files import KeyFileError
from giftcert.security.keyring import Keyring
from giftcert.security.tokens import TokenVerifier, create_signing_keys
from giftcert.settings import Settings


class EmbeddedKeys:
    """The keys of an embedded stack, good for this machine only; ``jwks`` is the public half of ``private_key``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keyring = folder / "keyring.json"
        self.private_key = folder / "token-key.json"
        self.jwks = folder / "jwks.json"

    @classmethod
    def of(cls, settings: Settings) -> "EmbeddedKeys":
        """Return the keys of the stack that these settings describe."""
        return cls(settings.state_dir.resolve() / "keys")

    def ensure(self) -> bool:
        """Make what is missing; return whether anything was.

        Raises:
            KeyFileError: a file cannot be written.
        """
        made = False
        if not self.keyring.exists():
            Keyring.create(self.keyring, origin="embedded")
            made = True
        if not self.jwks.exists():
            self.private_key.unlink(missing_ok=True)  # half a pair, left by a crash
            create_signing_keys(self.private_key, self.jwks, embedded=True)
            made = True
        return made


def keyring_of(settings: Settings) -> Keyring:
    """Return the keyring of these settings.

    Raises:
        KeyFileError: it cannot be read; the message names the setting.
    """
    with _naming("GIFTCERT_KEYRING"):
        return Keyring.load(settings.keyring or EmbeddedKeys.of(settings).keyring)


def token_verifier_of(settings: Settings) -> TokenVerifier:
    """Return the token check of these settings.

    Raises:
        KeyFileError: the public keys cannot be read; the message names the setting.
    """
    jwks = settings.jwt_jwks or EmbeddedKeys.of(settings).jwks
    with _naming("GIFTCERT_JWT_JWKS"):
        return TokenVerifier(jwks, settings.jwt_issuer, settings.jwt_audience)


def check_key_files(settings: Settings) -> None:
    """Read the key files that are set, so that a wrong one is told of before anything is started.

    Raises:
        KeyFileError: one cannot be used; the message names its setting.
    """
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

"""The keyring and the token check that the settings name, or those of the embedded stack."""

from collections.abc import Iterator
from contextlib import contextmanager

from giftcert.security.embedded_keys import EmbeddedKeys
from giftcert.security.errors import KeyFileError
from giftcert.security.keyring import Keyring
from giftcert.security.tokens import TokenVerifier
from giftcert.settings import Settings


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
        return TokenVerifier.load(jwks, settings.jwt_issuer, settings.jwt_audience)


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

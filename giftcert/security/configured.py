"""The keyring and the token check that the settings name, or those of the embedded stack."""

from giftcert.security.embedded_keys import EmbeddedKeys
from giftcert.security.keyring import Keyring
from giftcert.security.tokens import TokenVerifier
from giftcert.settings import Settings


def keyring_of(settings: Settings) -> Keyring:
    """Return the keyring of these settings.

    Raises:
        KeyFileError: it cannot be read.
    """
    return Keyring.load(settings.keyring or EmbeddedKeys.of(settings).keyring)


def token_verifier_of(settings: Settings) -> TokenVerifier:
    """Return the token check of these settings.

    Raises:
        KeyFileError: the public keys cannot be read.
    """
    jwks = settings.jwt_jwks or EmbeddedKeys.of(settings).jwks
    return TokenVerifier.load(jwks, settings.jwt_issuer, settings.jwt_audience)

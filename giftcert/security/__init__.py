"""Secrets at rest and who may call: the keyring and the tokens."""

from giftcert.security.configured import check_key_files, keyring_of, token_verifier_of
from giftcert.security.errors import KeyFileError, SealError, SecurityError, TokenError
from giftcert.security.keyring import Keyring
from giftcert.security.tokens import Caller, Role, TokenIssuer, TokenVerifier

__all__ = [
    "Caller",
    "KeyFileError",
    "Keyring",
    "Role",
    "SealError",
    "SecurityError",
    "TokenError",
    "TokenIssuer",
    "TokenVerifier",
    "check_key_files",
    "keyring_of",
    "token_verifier_of",
]

"""Secrets at rest and who may call: the keyring and the tokens."""

from giftcert.security.configured import EmbeddedKeys, check_key_files, keyring_of, token_verifier_of
from giftcert.security.key_files import KeyFileError
from giftcert.security.keyring import Keyring, SealError
from giftcert.security.tokens import Caller, Role, TokenError, TokenVerifier, issue_token

__all__ = [
    "Caller",
    "EmbeddedKeys",
    "KeyFileError",
    "Keyring",
    "Role",
    "SealError",
    "TokenError",
    "TokenVerifier",
    "check_key_files",
    "issue_token",
    "keyring_of",
    "token_verifier_of",
]

"""What can go wrong with keys and tokens.

- `SecurityError`
  - `KeyFileError`: a key file is missing, unreadable or not what it should be
  - `SealError`: a sealed secret does not open with this keyring and context
  - `TokenError`: a caller's token is refused
"""


class SecurityError(Exception):
    """The message is one line and never holds a secret."""


class KeyFileError(SecurityError):
    """A key file cannot be used; the message names the file."""


class SealError(SecurityError):
    """A secret was sealed by another keyring, for another certificate, or was changed."""


class TokenError(SecurityError):
    """A token is malformed, not signed by the issuer, expired, or meant for somebody else."""

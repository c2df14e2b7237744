"""Bearer tokens (JWT, RFC 7519): who calls, in which roles, for which channels."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, import_key
from joserfc.jwt import JWTClaimsRegistry

from giftcert.security.key_files import KeyFileError, read_json, write_secret

# Signatures with a public key only: a shared secret would let every reader of tokens make some.
_ALGORITHMS = ("ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519")
_OUR_ALGORITHM = "ES256"
_LEEWAY_SECONDS = 30
_REMEMBERED_SECONDS = 5
"""So much later than it says a token may still be good; other clocks differ by more."""
EMBEDDED_KEY_PREFIX = "embedded-"
"""How the ids of keys of an embedded stack begin, so that they are known wherever they are copied."""


class TokenError(Exception):
    """A token is malformed, not signed by the issuer, expired, or meant for somebody else; the caller may know why."""


class Role(StrEnum):
    """What a caller may be."""

    CHANNEL = "channel"
    CRM = "crm"
    SUPPORT = "support"
    OPS = "ops"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the token says."""

    subject: str
    roles: frozenset[str]
    channels: frozenset[str]


def issue_token(
    private_key: Path, caller: Caller, *, issuer: str, audience: str, now: datetime, lifetime: timedelta
) -> str:
    """Sign a token with the private key of an embedded stack; elsewhere the company's issuer does.

    A file that is no private key raises ``KeyFileError``.
    """
    try:
        key = import_key(read_json(private_key), "EC")
    except (JoseError, ValueError, KeyError):
        raise KeyFileError(f"{private_key} is no private key") from None
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": caller.subject,
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "roles": sorted(caller.roles),
        "channels": sorted(caller.channels),
    }
    header = {"alg": _OUR_ALGORITHM, "kid": key.kid}
    return jwt.encode(header, claims, key, algorithms=[_OUR_ALGORITHM])


class TokenVerifier:
    """Checks tokens against the public keys of the issuer, each once in a while: it costs as much as a request."""

    def __init__(self, jwks: Path, issuer: str, audience: str) -> None:
        """Read the public keys (JWK set, RFC 7517), or raise ``KeyFileError``."""
        try:
            self._keys = KeySet.import_key_set(read_json(jwks))  # type: ignore[arg-type] # checked by what it raises
        except (JoseError, ValueError, KeyError, TypeError):
            raise KeyFileError(f"{jwks} is no JWK set") from None
        if not self._keys.keys:
            raise KeyFileError(f"{jwks} holds no key")
        self._issuer = issuer
        self._audience = audience
        self._checked = lru_cache(maxsize=4096)(self._check)

    @property
    def trusts_embedded_keys(self) -> bool:
        """Whether any of the keys was made by an embedded stack."""
        return any((key.kid or "").startswith(EMBEDDED_KEY_PREFIX) for key in self._keys)

    def verify(self, token: str, now: datetime) -> Caller:
        """Return who calls, or raise ``TokenError``."""
        return self._checked(token, int(now.timestamp()) // _REMEMBERED_SECONDS)

    def _check(self, token: str, period: int) -> Caller:
        registry = JWTClaimsRegistry(
            now=period * _REMEMBERED_SECONDS,
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._keys, algorithms=_ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            reason = error.error if isinstance(error, JoseError) else "malformed"
            raise TokenError(f"the token is refused: {reason}") from None
        return Caller(str(claims["sub"]), _names(claims, "roles"), _names(claims, "channels"))


def _names(claims: dict[str, Any], claim: str) -> frozenset[str]:
    values = claims.get(claim, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TokenError(f"the token is refused: {claim} is no list of names")
    return frozenset(values)


def create_signing_keys(private_key: Path, jwks: Path, *, embedded: bool) -> None:
    """Make a key pair in two new files, the public half as a JWK set, or raise ``KeyFileError``."""
    key = ECKey.generate_key("P-256", private=True)
    kid = (EMBEDDED_KEY_PREFIX if embedded else "") + key.thumbprint()
    write_secret(private_key, {**key.as_dict(private=True), "kid": kid})
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": _OUR_ALGORITHM}
    write_secret(jwks, {"keys": [public]})

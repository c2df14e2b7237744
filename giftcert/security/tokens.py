"""Bearer tokens (JWT, RFC 7519): who calls, in which roles, for which channels."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, import_key
from joserfc.jwt import JWTClaimsRegistry

from giftcert.security.key_files import KeyFileError, read_secret, write_secret
from giftcert.security.signing_keys import EMBEDDED_KEY_PREFIX, SigningKeys
from giftcert.sensitive_text import is_sensitive

# Signatures with a public key only: a shared secret would let every reader of tokens make some.
_ALGORITHMS = ("ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519")
_OUR_ALGORITHM = "ES256"
_LEEWAY_SECONDS = 30
LONGEST_TOKEN = 8 * 1024
_REMEMBERED_SECONDS = 5
"""So much later than it says a token may still be good; other clocks differ by more."""


class TokenError(Exception):
    """A token is refused; the caller may know why. ``reason`` is one of few words, for figures and logs."""

    def __init__(self, reason: str, message: str | None = None) -> None:
        super().__init__(message or f"the token is refused: {reason}")
        self.reason = reason


class UnknownKeyError(TokenError):
    """No key that we have is the one that the token names; the issuer may have a new one."""


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
    is_fit_to_tell: bool = True
    """Whether the subject may appear on the stream and in logs."""


def issue_token(
    private_key: Path, caller: Caller, *, issuer: str, audience: str, now: datetime, lifetime: timedelta
) -> str:
    """Sign a token with the private key of an embedded stack; elsewhere the company's issuer does.

    A file that is no private key raises ``KeyFileError``.
    """
    try:
        key = import_key(read_secret(private_key), "EC")
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


ShortText: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
Names: TypeAlias = Annotated[list[ShortText], msgspec.Meta(max_length=100)]
Instant: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=2**53)]


class _Claims(msgspec.Struct, frozen=True):
    """What a token may claim, by type: joserfc fails at some others, or lets a token live for ever."""

    iss: ShortText
    aud: ShortText | Names
    sub: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}\Z")]
    exp: Instant
    nbf: Instant = 0
    iat: Instant = 0
    roles: Names = []
    channels: Names = []


class TokenVerifier:
    """Checks tokens against the public keys of the issuer, each once in a while: it costs as much as a request."""

    def __init__(self, keys: SigningKeys, issuer: str, audience: str) -> None:
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._checked = lru_cache(maxsize=4096)(self._check)

    def verify(self, token: str, now: datetime) -> Caller:
        """Return who calls, or raise ``TokenError``."""
        if len(token) > LONGEST_TOKEN:
            raise TokenError("too-long")
        return self._checked(token, int(now.timestamp()) // _REMEMBERED_SECONDS, self.keys.version)

    def _check(self, token: str, period: int, version: int) -> Caller:  # noqa: ARG002 - makes the memory forget
        registry = JWTClaimsRegistry(
            now=period * _REMEMBERED_SECONDS,
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            decoded = jwt.decode(token, self.keys.current, algorithms=_ALGORITHMS)
            claims = msgspec.convert(decoded.claims, _Claims)
            registry.validate(decoded.claims)
        except InvalidKeyIdError:
            raise UnknownKeyError("unknown-key") from None
        except JoseError as error:
            raise TokenError(error.error.replace("_", "-")) from None
        except msgspec.ValidationError as error:
            raise TokenError("wrong-claim", f"the token is refused: {error}") from None
        except Exception as error:  # joserfc fails in many ways at what nobody in good faith sends
            raise TokenError("malformed") from error
        if "crit" in decoded.header:
            raise TokenError(
                "unsupported-header"
            )  # joserfc lets pass what names nothing, or what everybody knows
        is_fit = not is_sensitive(claims.sub)  # here, as what is returned is remembered
        return Caller(claims.sub, frozenset(claims.roles), frozenset(claims.channels), is_fit)


def create_signing_keys(private_key: Path, jwks: Path, *, embedded: bool) -> None:
    """Make a key pair in two new files, the public half as a JWK set, or raise ``KeyFileError``."""
    key = ECKey.generate_key("P-256", private=True)
    kid = (EMBEDDED_KEY_PREFIX if embedded else "") + key.thumbprint()
    write_secret(private_key, {**key.as_dict(private=True), "kid": kid})
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": _OUR_ALGORITHM}
    write_secret(jwks, {"keys": [public]})

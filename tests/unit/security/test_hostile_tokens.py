"""Whatever somebody sends as a token is refused with a reason: no other error, and no caller."""

import base64
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies
from hypothesis import settings as examples
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, import_key

from giftcert.security.keys import EmbeddedKeys
from giftcert.security.signing_keys import SigningKeys
from giftcert.security.tokens import TokenError, TokenVerifier

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SOON = int(NOW.timestamp()) + 60
CLAIMS: dict[str, Any] = {
    "iss": "us",
    "aud": "giftcert",
    "sub": "shop",
    "exp": SOON,
    "roles": ["ops"],
    "channels": ["im"],
}
ANYTHING = [None, True, 0, -1, 1.5, 10**400, "", "x", [], [1], [None], {}, {"a": 1}, [[]], "\0"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedKeys:
    keys = EmbeddedKeys(tmp_path_factory.mktemp("keys"))
    keys.ensure()
    return keys


@pytest.fixture(scope="module")
def verifier(keys: EmbeddedKeys) -> TokenVerifier:
    return TokenVerifier(SigningKeys(str(keys.jwks)), "us", "giftcert")


@pytest.fixture(scope="module")
def key(keys: EmbeddedKeys) -> ECKey:
    return import_key(json.loads(keys.private_key.read_text()), "EC")


@pytest.fixture(scope="module")
def signed(key: ECKey) -> Callable[..., str]:
    """Makes tokens that only the issuer can make: rightly signed, whatever they claim."""

    def sign(payload: object = CLAIMS, **header: object) -> str:
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        head = part({"alg": "ES256", "kid": key.kid} | header)
        [algorithm] = [jws.JWSRegistry.algorithms["ES256"]]
        body = f"{head}.{part(content)}"
        return f"{body}.{part(algorithm.sign(body.encode(), key))}"

    return sign


def part(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def reason(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(TokenError) as refused:
        verifier.verify(token, NOW)
    return refused.value.reason


def test_what_the_issuer_signs_is_accepted(verifier: TokenVerifier, signed: Callable[..., str]) -> None:
    assert verifier.verify(signed(), NOW).subject == "shop"
    assert verifier.verify(signed(CLAIMS | {"aud": ["other", "giftcert"]}), NOW).roles == {"ops"}
    assert verifier.verify(signed(CLAIMS | {"exp": SOON + 0.5}), NOW).channels == {"im"}


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "", "HS256", "HS512", "ES512", "RS1", None, 5, ["ES256"], {}]
)
def test_no_algorithm_but_a_signature_by_the_issuers_key_is_taken(
    verifier: TokenVerifier, signed: Callable[..., str], algorithm: object
) -> None:
    token = signed(alg=algorithm)
    reason(verifier, token)
    reason(verifier, token.rpartition(".")[0] + ".")


@pytest.mark.parametrize("form", ["jwk", "pem", "der"])
def test_the_public_key_is_no_shared_secret(
    keys: EmbeddedKeys, key: ECKey, verifier: TokenVerifier, form: str
) -> None:
    public = json.loads(keys.jwks.read_text())["keys"][0]
    secret = {
        "jwk": json.dumps(public).encode(),
        "pem": key.as_pem(private=False),
        "der": key.as_der(private=False),
    }
    body = f"{part({'alg': 'HS256', 'kid': key.kid})}.{part(CLAIMS)}"
    shared = OctKey.import_key(base64.urlsafe_b64encode(secret[form]))
    token = f"{body}.{part(jws.JWSRegistry.algorithms['HS256'].sign(body.encode(), shared))}"
    reason(verifier, token)


@pytest.mark.parametrize(
    "crit", [None, True, 5, "exp", [], ["b64"], ["alg"], [5], [None], [[]], {}, {"alg": 1}, ["http://x"] * 20]
)
def test_a_critical_header_that_nobody_knows_or_that_is_malformed_is_refused(
    verifier: TokenVerifier, signed: Callable[..., str], crit: object
) -> None:
    reason(verifier, signed(crit=crit))
    reason(verifier, f"{part({'alg': 'ES256', 'crit': crit})}.e30.AAAA")  # nobody had to sign it


@pytest.mark.parametrize("header", ["jku", "x5u", "x5c", "jwk"])
def test_a_token_does_not_say_by_which_key_it_is_good(verifier: TokenVerifier, header: str) -> None:
    own = ECKey.generate_key("P-256", private=True)
    public: Any = own.as_dict(private=False)
    value = {
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/c",
        "x5c": ["MII"],
        "jwk": public,
    }
    for kid in ({}, {"kid": "mine"}):
        body = f"{part({'alg': 'ES256', header: value[header]} | kid)}.{part(CLAIMS)}"
        reason(verifier, f"{body}.{part(jws.JWSRegistry.algorithms['ES256'].sign(body.encode(), own))}")


@pytest.mark.parametrize(
    "kid", ["../../dev/null", "' OR 1=1 --", "a\0b", "x" * 400, "", 5, None, True, [], ["a"], {}, "\ud800"]
)
def test_a_key_id_is_only_ever_compared(verifier: TokenVerifier, kid: object) -> None:
    reason(verifier, f"{part({'alg': 'ES256', 'kid': kid})}.{part(CLAIMS)}.{part(b'x' * 64)}")


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "nbf", "iat", "roles", "channels"])
def test_a_claim_of_another_type_is_refused(
    verifier: TokenVerifier, signed: Callable[..., str], claim: str
) -> None:
    fitting = {"sub": ["x"], "nbf": [0, 1.5], "iat": [0, 1.5], "roles": [[]], "channels": [[]]}
    for value in ANYTHING:
        if repr(value) in map(repr, fitting.get(claim, [])):
            continue
        reason(verifier, signed(CLAIMS | {claim: value}))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp"])
def test_a_token_without_a_claim_that_it_needs_is_refused(
    verifier: TokenVerifier, signed: Callable[..., str], claim: str
) -> None:
    reason(verifier, signed({name: value for name, value in CLAIMS.items() if name != claim}))


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "-1e999", "9" * 5000, "1e18"])
def test_no_token_lives_for_ever(verifier: TokenVerifier, signed: Callable[..., str], number: str) -> None:
    payload = json.dumps(CLAIMS).replace(str(SOON), number).encode()
    reason(verifier, signed(payload))


@pytest.mark.parametrize("subject", ["a\0b", "a\nb", "\x1b[31m", "x" * 201, ""])
def test_a_subject_that_cannot_be_stored_or_shown_is_refused(
    verifier: TokenVerifier, signed: Callable[..., str], subject: str
) -> None:
    assert reason(verifier, signed(CLAIMS | {"sub": subject})) == "wrong-claim"


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_nesting_ends_in_a_refusal(verifier: TokenVerifier, signed: Callable[..., str], depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    reason(verifier, signed(b'{"roles": ' + nested + b"}"))
    header = b'{"a":' * depth + b"1" + b"}" * depth
    reason(verifier, f"{part(header)}.e30.AAAA")


def test_a_huge_token_is_refused_unread(verifier: TokenVerifier, signed: Callable[..., str]) -> None:
    assert reason(verifier, signed(CLAIMS | {"more": "x" * 20_000})) == "too-long"
    reason(verifier, "x" * 10_000_000)
    reason(verifier, "." * 10_000)


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b'"x"', b"5", b"{", b"\xff\xfe", b'{"iss":"us","iss":5}']
)
def test_a_payload_that_is_no_object_of_claims_is_refused(
    verifier: TokenVerifier, signed: Callable[..., str], payload: bytes
) -> None:
    reason(verifier, signed(payload))


@given(token=strategies.text(max_size=60) | strategies.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}"))
@examples(max_examples=300, deadline=None, database=None)
def test_any_text_is_refused_with_a_reason(token: str) -> None:
    with pytest.raises(TokenError) as refused:
        ANY_VERIFIER.verify(token, NOW)
    assert len(refused.value.reason) < 40


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=9),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
HEADERS = strategies.dictionaries(
    strategies.sampled_from(["alg", "kid", "crit", "jwk", "jku", "b64", "typ", "zip"]), JSON
)


@given(header=HEADERS, payload=JSON)
@examples(max_examples=300, deadline=None, database=None)
def test_any_header_is_refused_with_a_reason(header: dict[str, Any], payload: object) -> None:
    with pytest.raises(TokenError) as refused:
        ANY_VERIFIER.verify(f"{part({'alg': 'ES256'} | header)}.{part(payload)}.{part(b'x' * 64)}", NOW)
    assert len(refused.value.reason) < 40


def any_verifier() -> TokenVerifier:
    with tempfile.TemporaryDirectory() as folder:
        keys = EmbeddedKeys(Path(folder))
        keys.ensure()
        return TokenVerifier(SigningKeys(str(keys.jwks)), "us", "giftcert")


ANY_VERIFIER = any_verifier()

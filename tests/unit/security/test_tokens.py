import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, import_key

from giftcert.security.key_files import KeyFileError
from giftcert.security.keys import EmbeddedKeys
from giftcert.security.signing_keys import SigningKeys
from giftcert.security.tokens import Caller, TokenError, TokenVerifier, issue_token

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHOP = Caller("shop", frozenset({"channel"}), frozenset({"im"}))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedKeys:
    keys = EmbeddedKeys(tmp_path_factory.mktemp("keys"))
    keys.ensure()
    return keys


def verifier(keys: EmbeddedKeys) -> TokenVerifier:
    return TokenVerifier(SigningKeys(str(keys.jwks)), "us", "giftcert")


def token_of(
    keys: EmbeddedKeys, caller: Caller = SHOP, issuer: str = "us", audience: str = "giftcert"
) -> str:
    return issue_token(keys.private_key, caller, issuer=issuer, audience=audience, now=NOW, lifetime=HOUR)


def test_a_token_says_who_calls_in_which_roles_for_which_channels(keys: EmbeddedKeys) -> None:
    caller = Caller("shop", frozenset({"channel", "ops"}), frozenset({"im", "pos"}))
    assert verifier(keys).verify(token_of(keys, caller), NOW) == caller


def test_an_expired_token_is_refused_even_when_it_was_seen_before(keys: EmbeddedKeys) -> None:
    checks, token = verifier(keys), token_of(keys)
    checks.verify(token, NOW)
    with pytest.raises(TokenError, match="expired"):
        checks.verify(token, NOW + HOUR + timedelta(minutes=1))


@pytest.mark.parametrize("changes", [{"issuer": "them"}, {"audience": "another service"}])
def test_a_token_of_another_issuer_or_for_another_audience_is_refused(
    keys: EmbeddedKeys, changes: dict[str, str]
) -> None:
    with pytest.raises(TokenError):
        verifier(keys).verify(token_of(keys, **changes), NOW)


def test_a_token_signed_by_a_foreign_key_is_refused(keys: EmbeddedKeys, tmp_path: Path) -> None:
    foreign = EmbeddedKeys(tmp_path)
    foreign.ensure()
    with pytest.raises(TokenError):
        verifier(keys).verify(token_of(foreign), NOW)


def test_a_token_with_a_changed_claim_is_refused(keys: EmbeddedKeys) -> None:
    header, claims, signature = token_of(keys).split(".")
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    content["roles"] = ["ops"]
    forged = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(TokenError):
        verifier(keys).verify(f"{header}.{forged}.{signature}", NOW)


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(keys: EmbeddedKeys) -> None:
    public = json.loads(keys.jwks.read_text())["keys"][0]
    secret = OctKey.import_key(json.dumps(public))
    claims = {"iss": "us", "aud": "giftcert", "sub": "x", "exp": NOW.timestamp() + 60, "roles": ["ops"]}
    token = jwt.encode({"alg": "HS256", "kid": public["kid"]}, claims, secret, algorithms=["HS256"])
    with pytest.raises(TokenError):
        verifier(keys).verify(token, NOW)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "é.é.é"])
def test_what_is_no_token_is_refused(keys: EmbeddedKeys, token: str) -> None:
    with pytest.raises(TokenError):
        verifier(keys).verify(token, NOW)


def test_a_token_without_roles_says_so(keys: EmbeddedKeys) -> None:
    caller = Caller("shop", frozenset(), frozenset())
    assert verifier(keys).verify(token_of(keys, caller), NOW) == caller


@pytest.mark.parametrize("roles", ["ops", [1], {"ops": True}])
def test_roles_that_are_no_list_of_names_are_refused(keys: EmbeddedKeys, roles: object) -> None:
    key = import_key(json.loads(keys.private_key.read_text()), "EC")
    claims = {"iss": "us", "aud": "giftcert", "sub": "x", "exp": NOW.timestamp() + 60, "roles": roles}
    token = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)
    with pytest.raises(TokenError, match="roles"):
        verifier(keys).verify(token, NOW)


def test_the_private_key_is_readable_by_its_owner_alone(keys: EmbeddedKeys) -> None:
    for path in (keys.keyring, keys.private_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_are_made_once(keys: EmbeddedKeys) -> None:
    before = keys.private_key.read_bytes(), keys.keyring.read_bytes()
    assert keys.ensure() is False
    assert (keys.private_key.read_bytes(), keys.keyring.read_bytes()) == before


def test_keys_of_an_embedded_stack_are_known_as_such_wherever_they_are_copied(
    keys: EmbeddedKeys, tmp_path: Path
) -> None:
    copy = tmp_path / "company.json"
    copy.write_bytes(keys.jwks.read_bytes())
    assert SigningKeys(str(copy)).are_embedded


@pytest.mark.parametrize("content", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "EC"}]}', "[]"])
def test_a_file_that_is_no_key_set_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(content)
    with pytest.raises(KeyFileError, match=r"jwks\.json"):
        SigningKeys(str(path))

"""The issuer's keys: from a file or an address, renewed without a restart, and never because of anybody's wish."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from giftcert.security import signing_keys
from giftcert.security.key_files import KeyFileError
from giftcert.security.signing_keys import AGAIN_SECONDS, SigningKeys
from giftcert.security.tokens import (
    Caller,
    TokenError,
    TokenVerifier,
    UnknownKeyError,
    create_signing_keys,
    issue_token,
)
from giftcert.settings import Settings

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SHOP = Caller("shop", frozenset({"channel"}), frozenset({"im"}))


@dataclass
class Issuer:
    """An identity provider at an address of its own, whose key set can change."""

    folder: Path
    answer: bytes = b'{"keys": []}'
    status: str = "200 OK"
    is_silent: bool = False
    asked: int = 0
    made: int = 0
    public: dict[str, Any] = field(default_factory=dict)

    def new_key(self, name: str) -> Path:
        """Make a key and return the file of its private half."""
        create_signing_keys(self.folder / f"{name}.json", self.folder / f"{name}-jwks.json", embedded=False)
        [self.public[name]] = json.loads((self.folder / f"{name}-jwks.json").read_text())["keys"]
        return self.folder / f"{name}.json"

    def publish(self, *names: str) -> None:
        self.answer = json.dumps({"keys": [self.public[name] for name in names]}).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.is_silent:
            await reader.read()  # until the other side gives up
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.answer)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + self.answer)
        await writer.drain()
        writer.close()


def token(private_key: Path) -> str:
    return issue_token(
        private_key, SHOP, issuer="us", audience="giftcert", now=NOW, lifetime=timedelta(hours=1)
    )


@asynccontextmanager
async def address_of(issuer: Issuer) -> AsyncIterator[str]:
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


async def test_keys_of_an_address_are_fetched_once_for_many_tokens(issuer: Issuer) -> None:
    key = issuer.new_key("a")
    issuer.publish("a")
    async with address_of(issuer) as address:
        keys = SigningKeys(address)
        verifier = TokenVerifier(keys, "us", "giftcert")
        await keys.renew()
        for _ in range(50):
            assert verifier.verify(token(key), NOW) == SHOP
    assert issuer.asked == 1


@pytest.mark.parametrize("kind", ["file", "address"])
async def test_a_new_key_is_seen_without_a_restart_and_a_withdrawn_one_forgotten(
    issuer: Issuer, kind: str, clock: list[float]
) -> None:
    first, second = issuer.new_key("a"), issuer.new_key("b")
    issuer.publish("a")
    async with address_of(issuer) as address:
        path = issuer.folder / "published.json"
        path.write_bytes(issuer.answer)
        keys = SigningKeys(address if kind == "address" else str(path))
        await keys.renew()
        verifier = TokenVerifier(keys, "us", "giftcert")
        assert verifier.verify(token(first), NOW) == SHOP
        with pytest.raises(UnknownKeyError):
            verifier.verify(token(second), NOW)
        issuer.publish("b")
        path.write_bytes(issuer.answer)
        clock[0] += AGAIN_SECONDS
        await keys.look()
        assert verifier.verify(token(second), NOW) == SHOP
        with pytest.raises(TokenError):
            verifier.verify(token(first), NOW)


async def test_unknown_keys_make_nobody_fetch_without_end(issuer: Issuer, clock: list[float]) -> None:
    issuer.new_key("a")
    issuer.publish("a")
    async with address_of(issuer) as address:
        keys = SigningKeys(address)
        for _ in range(20):
            await asyncio.gather(*(keys.look() for _ in range(20)))
        assert issuer.asked == 1
        clock[0] += AGAIN_SECONDS
        await asyncio.gather(*(keys.look() for _ in range(20)))
        assert issuer.asked == 2


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("500 Oops", b"{}"),
        ("302 Found", b"{}"),
        ("200 OK", b"<html>"),
        ("200 OK", b"[]"),
        ("200 OK", b"{}"),
        ("200 OK", b'{"keys": []}'),
        ("200 OK", b'{"keys": 5}'),
        ("200 OK", b'{"keys": [{"kty": "EC"}]}'),
        ("200 OK", b"[" * 300_000),
    ],
)
async def test_the_last_good_keys_stay_while_the_issuer_answers_nonsense(
    issuer: Issuer, status: str, answer: bytes
) -> None:
    key = issuer.new_key("a")
    issuer.publish("a")
    async with address_of(issuer) as address:
        keys = SigningKeys(address)
        await keys.renew()
        issuer.status, issuer.answer = status, answer
        await keys.renew()
        assert issuer.asked == 2
    await keys.renew()  # and while nobody listens there
    assert TokenVerifier(keys, "us", "giftcert").verify(token(key), NOW) == SHOP


async def test_an_issuer_that_does_not_answer_holds_up_a_look_for_a_short_time_only(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "FETCH_SECONDS", 0.05)
    issuer.is_silent = True
    async with address_of(issuer) as address:
        keys = SigningKeys(address)
        await keys.look()
    assert keys.version == 0


async def test_an_address_that_publishes_keys_of_an_embedded_stack_is_not_believed(issuer: Issuer) -> None:
    create_signing_keys(issuer.folder / "p.json", issuer.folder / "j.json", embedded=True)
    issuer.answer = (issuer.folder / "j.json").read_bytes()
    async with address_of(issuer) as address:
        keys = SigningKeys(address)
        await keys.renew()
    assert keys.version == 0


def test_a_file_without_keys_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        SigningKeys(str(tmp_path / "absent.json"))


@pytest.mark.parametrize(
    "address", ["http://login.example.com/jwks", "ftp://x/y", "http://127.0.0.1.evil.example/"]
)
def test_keys_are_not_fetched_where_anybody_could_exchange_them(address: str) -> None:
    with pytest.raises(ValidationError, match="https://"):
        Settings(_env_file=None, jwt_jwks=address)

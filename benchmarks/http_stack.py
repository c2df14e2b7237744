"""What measurements over HTTP have in common: PostgreSQL, the API and a floor as processes, tokens, load."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.http_load import Load, Rate
from giftcert.security import Caller, EmbeddedKeys, Role, issue_token
from giftcert.settings import Settings
from giftcert.storage.migrate import migrate

CHANNEL = "im"


@dataclass(frozen=True)
class Comparison:
    """The medians of all rounds, and the medians of the rounds' ratios."""

    floor: Rate
    service: Rate
    ratio: float
    p99_ratio: float


def compare(floor: Load, service: Load, rounds: int) -> Comparison:
    """Measure floor and service by turns, and return the medians; the first round warms up."""
    pairs = [_round(number, floor, service) for number in range(rounds + 1)][1:]
    floors, services = zip(*pairs, strict=True)
    return Comparison(
        _median(floors),
        _median(services),
        ratio=round(median(service.rate / floor.rate for floor, service in pairs), 3),
        p99_ratio=round(median(service.p99 / floor.p99 for floor, service in pairs), 3),
    )


def _round(number: int, floor: Load, service: Load) -> tuple[Rate, Rate]:
    pair = run(floor), run(service)
    rates = f"floor {pair[0].rate:,.0f}/s, service {pair[1].rate:,.0f}/s"
    print(f"round {number}: {rates}", file=sys.stderr, flush=True)
    return pair


def _median(rates: Sequence[Rate]) -> Rate:
    columns = zip(*(asdict(one).values() for one in rates), strict=True)
    return Rate(*(round(median(values), 1) for values in columns))


@contextmanager
def postgres(folder: str) -> Iterator[str]:
    """A durable PostgreSQL of its own, unless one is set; yields its address."""
    if url := os.environ.get("GIFTCERT_DATABASE_URL"):
        yield url
        return
    command = [sys.executable, "-m", "giftcert.embedded", "postgres", "--owner", str(os.getpid())]
    with _process(command, {"GIFTCERT_STATE_DIR": f"{folder}/state"}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["database_url"]


def prepare(url: str, folder: str) -> Settings:
    """Make tables and keys, and return the settings that lead to them."""
    migrate(url)
    settings = Settings(_env_file=None, database_url=url, state_dir=Path(folder) / "keys")
    EmbeddedKeys.of(settings).ensure()
    return settings


@contextmanager
def floor(application: str, url: str) -> Iterator[int]:
    """Serve a floor; yields its port."""
    port = _free_port()
    options = ["--port", str(port), "--no-access-log", "--log-level", "error"]
    with _process([sys.executable, "-m", "uvicorn", application, *options], {"GIFTCERT_DATABASE_URL": url}):
        _await_answer(f"http://127.0.0.1:{port}/openapi.json")
        yield port


@contextmanager
def service(url: str, folder: str, **settings: str) -> Iterator[int]:
    """The API as it is in production, its log in a file; yields its port."""
    port = _free_port()
    environment = {
        "GIFTCERT_DATABASE_URL": url,
        "GIFTCERT_STATE_DIR": f"{folder}/keys",
        "GIFTCERT_TEMPORAL_ADDRESS": "127.0.0.1:1",
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "GIFTCERT_KEYRING": f"{folder}/keys/keys/keyring.json",
        "GIFTCERT_JWT_JWKS": f"{folder}/keys/keys/jwks.json",
        "GIFTCERT_API_PORT": str(port),
    }
    with Path(folder, "api.log").open("wb") as log:
        command = [sys.executable, "-m", "benchmarks.api_service"]
        with _process(command, environment | settings, stderr=log):
            _await_answer(f"http://127.0.0.1:{port}/healthz")
            yield port


def authorization(settings: Settings) -> str:
    """Return the header of a channel's token."""
    token = issue_token(
        EmbeddedKeys.of(settings).private_key,
        Caller("bench", frozenset({Role.CHANNEL}), frozenset({CHANNEL})),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        now=datetime.now(UTC),
        lifetime=timedelta(hours=1),
    )
    return f"Authorization: Bearer {token}"


def request(port: int, line: str, *headers: str) -> str:
    """Return a request as it goes over the wire, up to the empty line before its body."""
    return "\r\n".join((f"{line} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, ""))


def run(load: Load) -> Rate:
    """Put a load on a server, from a process of its own."""
    wanted = json.dumps(asdict(load) | {"seed": secrets.token_hex(4)})
    command = [sys.executable, "-m", "benchmarks.http_load"]
    done = subprocess.run(command, input=wanted.encode(), stdout=subprocess.PIPE, check=True)
    return Rate(**json.loads(done.stdout))


@contextmanager
def _process(
    command: list[str], environment: dict[str, str], **pipes: object
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=os.environ | environment, **pipes)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _await_answer(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url).close()  # noqa: S310 - our own process
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])

"""What measurements over HTTP have in common: PostgreSQL, the API and a floor as processes, tokens, load."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.http_load import Load, Rate
from benchmarks.measurement import new_folder, say_round, servers
from giftcert.security.keys import EmbeddedKeys
from giftcert.security.tokens import Caller, Role, issue_token
from giftcert.settings import Settings
from giftcert.storage.migrate import migrate

CHANNEL = "im"
FLOOR = "floor"
"""Bodies of the floor's requests, and of the service's: files in the folder, where the requests have bodies."""
SERVICE = "service"


@dataclass(frozen=True)
class Comparison:
    """The medians of all rounds, and the medians of the rounds' ratios."""

    floor: Rate
    service: Rate
    ratio: float
    p99_ratio: float


def measure(
    fill: Callable[[Settings, str, Path], Awaitable[None]],
    lines: tuple[str, str],
    rounds: int,
    seconds: float,
    **environment: str,
) -> None:
    """Fill one PostgreSQL, then put load on floor and service by turns, and print the medians.

    ``lines`` are the first lines of the floor's requests and of the service's; ``environment`` is the service's.
    """
    with new_folder() as folder, servers(folder, "postgres") as addresses:
        url, owner_url = addresses["database_url"], addresses["database_owner_url"]
        migrate(owner_url)
        settings = prepare(url, folder)
        asyncio.run(fill(settings, owner_url, folder))
        with _floor(owner_url) as floor_port, api_process(url, folder, environment) as (port, _):
            headers = (authorization(settings), "Idempotency-Key: {n}")
            floor = _load(folder / FLOOR, floor_port, seconds, lines[0])
            service = _load(folder / SERVICE, port, seconds, lines[1], *headers)
            print(json.dumps(asdict(_compare(floor, service, rounds)), indent=1))


def _compare(floor: Load, service: Load, rounds: int) -> Comparison:
    pairs = [_round(number, floor, service) for number in range(rounds + 1)][1:]
    floors, services = zip(*pairs, strict=True)
    return Comparison(
        _median(floors),
        _median(services),
        ratio=round(median(service.rate / floor.rate for floor, service in pairs), 3),
        p99_ratio=round(median(service.p99 / floor.p99 for floor, service in pairs), 3),
    )


def _round(number: int, floor: Load, service: Load) -> tuple[Rate, Rate]:
    pair = _run(floor), _run(service)
    say_round(number, pair[0].rate, pair[1].rate)
    return pair


def _median(rates: Sequence[Rate]) -> Rate:
    columns = zip(*(asdict(one).values() for one in rates), strict=True)
    return Rate(*(round(median(values), 1) for values in columns))


def prepare(url: str, folder: Path) -> Settings:
    """Make keys, and return the settings that lead to them and to the tables."""
    settings = Settings(_env_file=None, database_url=url, state_dir=folder / "keys")
    EmbeddedKeys.of(settings).ensure()
    return settings


@contextmanager
def _floor(url: str) -> Iterator[int]:
    """Serve the floors; yields their port."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.http_floors:app", "--port", str(port)]
    quietly = ["--no-access-log", "--log-level", "error"]
    with _process([*command, *quietly], {"GIFTCERT_DATABASE_URL": url}):
        _await_answer(f"http://127.0.0.1:{port}/openapi.json")
        yield port


@contextmanager
def api_process(url: str, folder: Path, settings: dict[str, str]) -> Iterator[tuple[int, int]]:
    """The API as it is in production, its log in a file; yields its port and process id."""
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
    with (folder / "api.log").open("wb") as log:
        command = [sys.executable, "-m", "benchmarks.api_service"]
        with _process(command, environment | settings, stderr=log) as process:
            _await_answer(f"http://127.0.0.1:{port}/healthz")
            yield port, process.pid


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


def _load(bodies: Path, port: int, seconds: float, *lines: str) -> Load:
    """Return the load of requests that begin with these lines, up to the empty line before a body."""
    first, *headers = lines
    request = "\r\n".join((f"{first} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, ""))
    return Load("127.0.0.1", port, request, seconds, bodies=str(bodies) if bodies.exists() else None)


def _run(load: Load) -> Rate:
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

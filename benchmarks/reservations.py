"""Reservations per second with token, key and event, beside a bare claim: ``python -m benchmarks.reservations``."""

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import asyncpg

from benchmarks.http_load import Load, Rate
from benchmarks.reservations_floor import FILL
from giftcert.domain.products import Product
from giftcert.security import Role, TokenIssuer, keyring_of
from giftcert.security.embedded_keys import EmbeddedKeys
from giftcert.settings import Settings
from giftcert.storage.engine import engine_at
from giftcert.storage.migrate import migrate
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository

PRODUCT = Product("GC-5000", "RUB", nominal=500_000)
PER_SECOND = 3_500
"""Certificates to have ready for each second of a run; the pool must not run dry."""


@dataclass(frozen=True)
class Comparison:
    """The medians of all rounds, and the median of the rounds' ratios."""

    floor: Rate
    service: Rate
    ratio: float


def compare(rounds: int, seconds: float) -> Comparison:
    """Measure floor and service by turns on one PostgreSQL, and return the medians."""
    with tempfile.TemporaryDirectory(prefix="giftcert-bench-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        with _postgres(folder) as url:
            settings = _prepare(url, folder, int(rounds * (seconds + 1) * PER_SECOND))
            with _floor(url) as floor_port, _service(url, folder) as service_port:
                floor, service = (
                    _floor_load(floor_port, seconds),
                    _service_load(settings, service_port, seconds),
                )
                pairs = [(_run(floor), _run(service)) for _ in range(rounds + 1)][1:]  # the first warms up
    ratios = [service.rate / floor.rate for floor, service in pairs]
    floors, services = zip(*pairs, strict=True)
    return Comparison(_median(floors), _median(services), median(ratios))


def _median(rates: tuple[Rate, ...]) -> Rate:
    return Rate(
        *(round(median(values), 1) for values in zip(*(asdict(one).values() for one in rates), strict=True))
    )


@contextmanager
def _postgres(folder: str) -> Iterator[str]:
    """A durable PostgreSQL of its own, unless one is set."""
    if url := os.environ.get("GIFTCERT_DATABASE_URL"):
        yield url
        return
    command = [sys.executable, "-m", "giftcert.embedded", "postgres", "--owner", str(os.getpid())]
    with _process(command, {"GIFTCERT_STATE_DIR": f"{folder}/state"}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["database_url"]


def _prepare(url: str, folder: str, quantity: int) -> Settings:
    migrate(url)
    settings = Settings(_env_file=None, database_url=url, state_dir=Path(folder) / "keys")
    EmbeddedKeys.of(settings).ensure()
    asyncio.run(_fill(settings, url, quantity))
    return settings


async def _fill(settings: Settings, url: str, quantity: int) -> None:
    engine = engine_at(url)
    async with engine.begin() as connection:
        await ProductRepository(connection).put([PRODUCT])
        await PoolRepository(connection).generate(PRODUCT, quantity, keyring_of(settings), datetime.now(UTC))
    await engine.dispose()
    connection = await asyncpg.connect(url)
    await connection.execute(FILL.format(quantity=3 * quantity))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


@contextmanager
def _floor(url: str) -> Iterator[int]:
    port = _free_port()
    app = [
        "uvicorn",
        "benchmarks.reservations_floor:app",
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "error",
    ]
    with _process([sys.executable, "-m", *app], {"GIFTCERT_DATABASE_URL": url}):
        _await_answer(f"http://127.0.0.1:{port}/openapi.json")
        yield port


@contextmanager
def _service(url: str, folder: str) -> Iterator[int]:
    """The door as it is in production, its log in a file."""
    port = _free_port()
    environment = {
        "GIFTCERT_DATABASE_URL": url,
        "GIFTCERT_STATE_DIR": f"{folder}/keys",
        "GIFTCERT_TEMPORAL_ADDRESS": "127.0.0.1:1",
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "GIFTCERT_KEYRING": f"{folder}/keys/keys/keyring.json",
        "GIFTCERT_JWT_JWKS": f"{folder}/keys/keys/jwks.json",
        "GIFTCERT_API_PORT": str(port),
        "GIFTCERT_RESERVATION_CAP": "10000000",
    }
    with Path(folder, "api.log").open("wb") as log:
        command = [sys.executable, "-m", "benchmarks.reservations_service"]
        with _process(command, environment, stderr=log):
            _await_answer(f"http://127.0.0.1:{port}/healthz")
            yield port


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
    for _ in range(200):
        try:
            urllib.request.urlopen(url).close()  # noqa: S310 - our own process
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


def _floor_load(port: int, seconds: float) -> Load:
    return Load("127.0.0.1", port, f"GET /claim HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", seconds)


def _service_load(settings: Settings, port: int, seconds: float) -> Load:
    keys = EmbeddedKeys.of(settings)
    issuer = TokenIssuer.load(keys.private_key, settings.jwt_issuer, settings.jwt_audience)
    token = issuer.issue("bench", [Role.CHANNEL], ["im"], datetime.now(UTC), timedelta(hours=1))
    request = (
        "GET /certificates/next?channel=im&product=GC-5000 HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {token}",
        "Idempotency-Key: {n}",
    )
    return Load("127.0.0.1", port, "\r\n".join((*request, "", "")), seconds)


def _run(load: Load) -> Rate:
    asked = json.dumps(asdict(load) | {"seed": secrets.token_hex(4)})
    command = [sys.executable, "-m", "benchmarks.http_load"]
    return Rate(
        **json.loads(subprocess.run(command, input=asked.encode(), stdout=subprocess.PIPE, check=True).stdout)
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    arguments = parser.parse_args()
    print(json.dumps(asdict(compare(arguments.rounds, arguments.seconds)), indent=1))


if __name__ == "__main__":
    main()

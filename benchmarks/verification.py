"""A million certificates verified: ``python -m benchmarks.verification``.

Seven of ten lie in the pool; of those sold some can be spent, which have an open workflow each, most are spent or
refunded. One of each is led by the service's own parts, and its rows are copied for all; the pool, the stream and the
workflows are real. Timed is ``giftcert verify --json`` as a process of its own.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from confluent_kafka import Producer
from temporalio.client import Client

from benchmarks.lives import Leading, events_of, make_inbox_days, write_lives
from benchmarks.measurement import new_folder, options, servers
from giftcert.clock import utc_now
from giftcert.security.keyring import Keyring
from giftcert.storage.audit_chain import AuditChainRepository
from giftcert.storage.database import Connection, Database
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from giftcert.temporal.client import DATA_CONVERTER
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate

STARTED_AT_ONCE = 50
EVENTS_AT_ONCE = 2_000


@dataclass(frozen=True)
class Result:
    """What was there, and what looking at all of it took."""

    certificates: int
    events: int
    open_workflows: int
    seconds: float
    processor_seconds: float
    peak_megabytes: float
    violations: int
    broken: list[str]
    checked: dict[str, int]


@contextmanager
def stack(folder: Path) -> Iterator[dict[str, str]]:
    """Servers of their own and a keyring; yields the environment that leads to them."""
    with servers(folder, "postgres", "temporal", "kafka") as addresses:
        keyring = folder / "keyring.json"
        Keyring.create(keyring)
        names = ("database_url", "database_owner_url", "temporal_address", "kafka_bootstrap_servers")
        yield {f"GIFTCERT_{name.upper()}": addresses[name] for name in names} | {
            "GIFTCERT_KEYRING": str(keyring),
            "GIFTCERT_STATE_DIR": f"{folder}/nothing",
        }


def giftcert(environment: dict[str, str], *arguments: str) -> str:
    """Run a command and return what it printed."""
    command = [sys.executable, "-m", "giftcert.cli", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout


async def fill(environment: dict[str, str], count: int, live: int) -> int:
    """Make the pool, lead and copy the lives, publish their events; return the number of events."""
    url = environment["GIFTCERT_DATABASE_URL"]
    database, keyring = Database(url), Keyring.load(Path(environment["GIFTCERT_KEYRING"]))
    async with database.transaction() as connection:
        product = (await ProductRepository(connection).all())["GC-5000"]
        await PoolRepository(connection).generate(product, count, keyring, datetime.now(UTC))
        await make_inbox_days(connection)
    models = await Leading(database, keyring, product).lead(url)
    await database.close()
    ended = max(0, count * 3 // 10 - live)
    connection = await asyncpg.connect(environment["GIFTCERT_DATABASE_OWNER_URL"])
    try:
        await write_lives(connection, list(zip(models, (live, ended * 2 // 3, ended // 3), strict=True)))
        await link(connection, keyring)
        return await publish(connection, environment["GIFTCERT_KAFKA_BOOTSTRAP_SERVERS"])
    finally:
        await connection.close()


async def link(connection: Connection, keyring: Keyring) -> None:
    """Link every event into the audit chain."""
    await connection.execute("TRUNCATE unlinked_events, audit_links")
    await connection.execute("INSERT INTO unlinked_events SELECT event_id FROM events ORDER BY event_id")
    while True:
        async with connection.transaction():
            if await AuditChainRepository(connection, keyring).link_next(EVENTS_AT_ONCE, utc_now()) is None:
                return


async def publish(connection: "asyncpg.Connection[asyncpg.Record]", bootstrap: str) -> int:
    """Write every event to the stream, each certificate's in sequence."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 50})
    published = 0
    async for key, value, headers in events_of(connection):
        while True:
            try:
                producer.produce("GiftCertificates.Stream", value, key, headers=dict(headers))
                break
            except BufferError:
                producer.poll(0.5)
        published += 1
    producer.flush()
    return published


async def start_runs(environment: dict[str, str]) -> int:
    """Start the workflow of every certificate that waits for something."""
    connection = await asyncpg.connect(environment["GIFTCERT_DATABASE_URL"])
    rows = await connection.fetch(
        "SELECT certificate_id::text AS certificate_id, order_id FROM certificates WHERE timer_at IS NOT NULL"
    )
    await connection.close()
    client = await Client.connect(environment["GIFTCERT_TEMPORAL_ADDRESS"], data_converter=DATA_CONVERTER)
    slots = asyncio.Semaphore(STARTED_AT_ONCE)

    async def start(row: "asyncpg.Record") -> None:
        async with slots:
            wake = Wake(signal=Signal.ORDER_CREATED, channel="im", product="GC-5000", **dict(row))
            await signal_certificate(client, wake)

    await asyncio.gather(*(start(row) for row in rows))
    return len(rows)


def verified(environment: dict[str, str], answer: Path) -> tuple[dict[str, Any], float, Any]:
    """Verify once; return what was said, the seconds it took and what the process used."""
    began = time.monotonic()
    with answer.open("wb") as out:
        command = [sys.executable, "-m", "giftcert.cli", "verify", "--json"]
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return json.loads(answer.read_text()), time.monotonic() - began, usage


def measure(count: int, live: int) -> Result:
    """Fill everything and verify it once."""
    with new_folder() as folder, stack(folder) as environment:
        for command in ("migrate", "setup"):
            giftcert(environment, command)
        events = asyncio.run(fill(environment, count, live))
        runs = asyncio.run(start_runs(environment))
        said, seconds, usage = verified(environment, folder / "said.json")
    return Result(
        certificates=count,
        events=events,
        open_workflows=runs,
        seconds=round(seconds, 1),
        processor_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        peak_megabytes=round(usage.ru_maxrss / 1024),
        violations=sum(one["violations"] for one in said["invariants"]),
        broken=sorted(
            {f"{one['rule']}: {one['expected']}; {one['seen']}"[:200] for one in said["violations"]}
        )[:10],
        checked={str(one["invariant"]): one["checked"] for one in said["invariants"]},
    )


def main() -> None:
    """Measure and print JSON."""
    chosen = options(certificates=1_000_000, live=20_000)  # those with an open workflow
    print(json.dumps(asdict(measure(chosen.certificates, chosen.live)), indent=1))


if __name__ == "__main__":
    main()

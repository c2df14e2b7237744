"""One clean world, led through by the service's own parts; each test verifies, or spoils, a copy of its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr
from temporalio.client import Client

from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.audit_chain import AuditChainRepository
from giftcert.storage.database import Database
from giftcert.storage.service_policy import record_policy
from giftcert.temporal.client import DATA_CONVERTER
from giftcert.temporal.namespace import ensure_namespace
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate
from giftcert.verification.repair import Repair, repair
from giftcert.verification.stream import STREAM_CONFIGURATION, read_stream
from giftcert.verification.verify import Sources, verify
from giftcert.verification.violations import Findings
from tests.conftest import new_database
from tests.integration.verification.sold_world import Sales, led_certificates, publish_all
from tests.named_values import numbered, query
from tests.processes import PATIENCE_SECONDS
from tests.shared_servers import as_service, named, on, owning
from tests.waiting import until

PARTITIONS = 3
EVENTS_OF_A_LINK = 20


@dataclass
class Clean:
    """A world in which nothing is wrong."""

    settings: Settings
    keyring: Keyring
    client: Client
    sales: Sales

    @property
    def database_url(self) -> str:
        return self.settings.database_address


async def new_topic(bootstrap: str, configuration: dict[str, str] | None = None) -> str:
    name = f"Stream-{uuid4().hex[:12]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        topic = NewTopic(name, PARTITIONS, 1, topic_configs=configuration or STREAM_CONFIGURATION)
        await admin.create_topics([topic])
    finally:
        await admin.close()
    return name


@pytest.fixture(scope="session")
def verified_keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verification") / "keyring.json"
    Keyring.create(path)
    return path


@pytest.fixture(scope="session")
async def clean(postgres_url: str, kafka: str, temporal_address: str, verified_keyring: Path) -> Clean:
    url = await new_database(postgres_url)
    namespace = f"verify-{uuid4().hex[:8]}"
    client = await Client.connect(temporal_address, namespace=namespace, data_converter=DATA_CONVERTER)
    await ensure_namespace(client)
    settings = Settings(
        database_url=SecretStr(url),
        kafka_bootstrap_servers=kafka,
        temporal_address=temporal_address,
        temporal_namespace=namespace,
        topic_stream=await new_topic(kafka),
        keyring=verified_keyring,
        _env_file=None,
    )
    database = Database(url)
    sales = await Sales.open(database, url, Keyring.load(verified_keyring))
    async with database.transaction() as connection:
        await record_policy(connection, settings.policy, datetime.now(UTC))
    await sales.lead()
    async with owning(database) as owner:
        await owner.execute("UPDATE events SET recorded_at = recorded_at - interval '1 h'")
    await publish_all(database, settings)
    led = await led_certificates(database)
    for certificate_id in led:
        await signal_certificate(client, a_wake(certificate_id))
    runs = CertificateRuns(client)

    async def all_are_listed() -> bool:  # the list lags behind
        return sum([len(page) async for page in runs.pages()]) == len(led)

    await until(all_are_listed)
    await database.close()
    return Clean(settings, sales.store.keyring, client, sales)


def a_wake(certificate_id: str) -> Wake:
    return Wake(certificate_id=certificate_id, signal=Signal.ORDER_CREATED, channel="im", product="GC-5000")


@dataclass
class World:
    """A copy of the clean world, to be spoilt."""

    settings: Settings
    database: Database
    keyring: Keyring
    client: Client
    runs: Any
    sales: Sales
    shown: list[str] = field(default_factory=list)
    keeps_chain: bool = False

    @property
    def ids(self) -> list[str]:
        return self.sales.ids

    @property
    def lifecycle(self) -> Lifecycle:
        return self.sales.lifecycle

    @property
    def sources(self) -> Sources:
        return Sources(database=self.database, settings=self.settings, keyring=self.keyring, runs=self.runs)

    async def link(self) -> None:
        """Link all events anew, as if they had been recorded as they are."""
        async with owning(self.database) as connection:
            await connection.execute("DELETE FROM audit_links; DELETE FROM unlinked_events")
            await connection.execute("INSERT INTO unlinked_events SELECT event_id FROM events")
            chain = AuditChainRepository(connection, self.keyring)
            while await chain.link_next(EVENTS_OF_A_LINK, datetime.now(UTC)):
                pass

    async def verify(self, sample: int | None = None) -> Findings:
        """Verify; events were recorded as they are by now, unless the test keeps the chain."""
        if not self.keeps_chain:
            await self.link()
        return await verify(self.sources, lambda what, _done, _total: self.shown.append(what), sample)

    async def repair(self) -> list[str]:
        done, found = Repair(), await self.verify()
        await repair(self.sources, self.client, self.lifecycle, found, lambda *_: None, done)
        assert done.left == 0
        return done.lines

    async def broken(self, sample: int | None = None) -> dict[int, set[str]]:
        """Which rules of which invariants are broken."""
        found: dict[int, set[str]] = {}
        for one in (await self.verify(sample)).violations:
            found.setdefault(one.invariant, set()).add(one.rule)
        return found

    async def spoil(self, statement: str, of: int | None = None, **values: Any) -> None:
        """Change something behind the service's back, of the certificate ``:id``; what would refuse it goes first."""
        values |= {} if of is None else {"id": UUID(self.ids[of])}
        async with owning(self.database) as connection:
            done = await connection.execute(*numbered(statement, values))
            assert not done.endswith(" 0"), "nothing was spoilt"

    async def value(self, statement: str, of: int | None = None, **values: Any) -> Any:
        values |= {} if of is None else {"id": UUID(self.ids[of])}
        async with self.database.connection() as connection:
            [row] = await query(connection, statement, **values)
            return next(iter(row.values()))

    async def drop_index(self, name: str) -> None:
        async with owning(self.database) as connection:
            await connection.execute(f"DROP INDEX {name}")

    async def drop_constraints(self, table: str, kind: str = "c") -> None:
        """Take away what the database itself would refuse."""
        names = "SELECT conname FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype::text = $2"
        async with owning(self.database) as connection:
            for row in await connection.fetch(names, table, kind):
                await connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{row["conname"]}" CASCADE')

    async def command(self, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``giftcert verify`` as a person does, in a process of its own."""
        await self.link()
        settings = self.settings
        chosen = {
            "DATABASE_URL": settings.database_address,
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "TEMPORAL_ADDRESS": settings.temporal_address,
            "TEMPORAL_NAMESPACE": settings.temporal_namespace,
            "TOPIC_STREAM": settings.topic_stream,
            "KEYRING": settings.keyring,
            "STATE_DIR": folder,
        }
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "giftcert.cli", "verify", *arguments],
            env={**os.environ, **{f"GIFTCERT_{name}": str(value) for name, value in chosen.items()}},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    async def tell_again(self, changed: Any, configuration: dict[str, str] | None = None) -> None:
        """Write the stream anew, each record as ``changed`` gives it back: any number of (key, value)."""
        bootstrap = self.settings.kafka_bootstrap_servers or ""
        records = await self.records()
        topic = await new_topic(bootstrap, configuration)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:  # sends all before it stops
            for record in records:
                for key, value in changed(record):
                    await producer.send(topic, value, key, partition=record.partition)
        self.settings = self.settings.model_copy(update={"topic_stream": topic})
        await self.spoil("UPDATE stream_comparison SET topic = NULL, topic_id = NULL")
        async with owning(self.database) as owner:
            await owner.execute("DELETE FROM stream_positions")

    async def records(self) -> list[ConsumerRecord]:
        options = {"bootstrap_servers": self.settings.kafka_bootstrap_servers}
        found: list[ConsumerRecord] = []

        async def take(records: Sequence[ConsumerRecord], _total: int) -> None:
            found.extend(records)

        await read_stream(options, self.settings.topic_stream, take)
        return found


@pytest.fixture
async def world(clean: Clean, postgres_url: str) -> AsyncIterator[World]:
    name = f"spoilt_{uuid4().hex[:12]}"
    template = clean.database_url.rpartition("/")[2]
    await on(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    url = as_service(named(postgres_url, name))
    database = Database(url)
    settings = clean.settings.model_copy(update={"database_url": SecretStr(url)})
    sales = Sales.of(database, clean.keyring, clean.sales.reservations)
    yield World(settings, database, clean.keyring, clean.client, CertificateRuns(clean.client), sales)
    await database.close()
    await on(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')

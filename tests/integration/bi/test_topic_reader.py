"""The file of BI filled from a real Kafka: from the beginning, after any end, and by Kafka Connect."""

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from giftcert.bi import topic_reader
from giftcert.bi.topic_reader import Loaded
from giftcert.bi.warehouse import ReadRecord, Source, Warehouse, WarehouseError
from tests.embedded_environment import ROOT, embedded_environment
from tests.unit.bi.bi_records import NOON, STREAM, Records, order, payment
from tests.waiting import until

pytestmark = pytest.mark.integration
EXAMPLE = Path(__file__).resolve().parents[3] / "docs/integration/kafka-connect"
PARTITIONS = 3


@dataclass
class Topics:
    """Topics of one test, and the file that is filled from them."""

    kafka: str
    folder: Path
    sources: list[Source]

    def command(self, *arguments: str) -> dict[str, Any]:
        """What a command of BI says, run where the file is."""
        stream, orders, payments = (one.topic for one in self.sources)
        environment = embedded_environment() | {
            "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "GIFTCERT_TOPIC_STREAM": stream,
            "GIFTCERT_TOPIC_ORDERS": orders,
            "GIFTCERT_TOPIC_PAYMENTS": payments,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "giftcert.cli", "bi", *arguments, "--file", "bi.duckdb", "--json"]
        run = subprocess.run(
            command, cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        said: dict[str, Any] = json.loads(run.stdout)
        return said

    def open(self) -> Warehouse:
        return Warehouse.open(self.folder / "bi.duckdb", "UTC")

    async def load(self, warehouse: Warehouse) -> Loaded:
        options = {"bootstrap_servers": self.kafka}
        return await topic_reader.load(
            warehouse, options, self.sources, lambda: NOON + timedelta(hours=1), lambda _done, _total: None
        )

    async def write(self, topic: int, values: list[str]) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.kafka) as producer:
            for nth, value in enumerate(values):
                await producer.send(self.sources[topic].topic, value.encode(), partition=nth % PARTITIONS)


@pytest.fixture
async def topics(kafka: str, tmp_path: Path) -> AsyncIterator[Topics]:
    name = uuid4().hex[:8]
    sources = [
        Source(f"stream-{name}", "read_stream.sql"),
        Source(f"orders-{name}", "read_orders.sql"),
        Source(f"payments-{name}", "read_payments.sql"),
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    names = [one.topic for one in sources]
    await admin.create_topics(
        [NewTopic(one, num_partitions=PARTITIONS, replication_factor=1) for one in names]
    )
    yield Topics(kafka, tmp_path, sources)
    await admin.delete_topics(names)
    await admin.close()


def sold(count: int) -> list[str]:
    stream = Records()
    for certificate in range(1, count + 1):
        stream.issued(certificate=certificate)
    return stream.values


async def test_a_load_that_was_killed_goes_on_and_loses_and_doubles_nothing(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = sold(300)
    await topics.write(0, events)
    await topics.write(0, events[::7])  # delivered at least once
    await topics.write(1, [json.dumps(order()), "no message"])
    await topics.write(2, [json.dumps(payment())])
    monkeypatch.setattr(topic_reader, "AT_ONCE", 50)
    real = Warehouse.add

    def dies(self: Warehouse, source: Source, records: list[ReadRecord], read_at: datetime) -> int:
        if self.positions(source.topic) and source is topics.sources[0]:  # a part of it is there
            raise KeyboardInterrupt
        return real(self, source, records, read_at)

    monkeypatch.setattr(Warehouse, "add", dies)
    warehouse = topics.open()
    with pytest.raises(KeyboardInterrupt):
        await topics.load(warehouse)
    warehouse.close()
    monkeypatch.setattr(Warehouse, "add", real)

    warehouse = topics.open()
    [(already,)] = warehouse.query("SELECT count(*) FROM stream").rows
    assert 0 < already < 300
    await topics.load(warehouse)
    tables = (
        "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM orders), (SELECT count(*) FROM payments)"
    )
    assert warehouse.query(tables.format("stream")).rows == [(300, 1, 1)]
    assert warehouse.query("SELECT count(*) FROM unread").rows == [(1,)]

    again = await topics.load(warehouse)
    assert (again.records, again.repeats) == (0, 0)
    warehouse.close()


async def test_records_that_were_deleted_before_they_were_read_are_counted(topics: Topics) -> None:
    await topics.write(0, sold(6))
    warehouse = topics.open()
    await topics.load(warehouse)
    warehouse.run("UPDATE positions SET next_offset = next_offset + 5 WHERE partition = 0")

    with pytest.raises(WarehouseError, match=r"-0 ends at 2 and was read up to 7.*--rebuild"):
        await topics.load(warehouse)
    warehouse.close()


async def test_the_command_fills_a_file_anew_in_the_place_of_the_old_one(topics: Topics) -> None:
    await topics.write(0, sold(6))
    said = topics.command("load", "--parquet", "parquet")
    assert (said["records"], said["repeats"], said["parquet"]["files"]) == (6, 0, 2)
    await topics.write(0, sold(6))
    assert topics.command("load")["repeats"] == 6
    said = topics.command("load", "--rebuild", "--parquet", "parquet")
    assert (said["records"], said["repeats"], said["parquet"]["files"]) == (12, 6, 0)
    assert {path.name for path in topics.folder.iterdir()} == {"bi.duckdb", "parquet"}


async def test_a_topic_that_is_not_there_is_named(topics: Topics) -> None:
    topics.sources[1] = Source("nowhere", "read_orders.sql")
    warehouse = topics.open()
    with pytest.raises(WarehouseError, match=r"no topic nowhere: `giftcert setup`"):
        await topics.load(warehouse)
    warehouse.close()


@pytest.fixture(scope="module")
def connect_jars() -> Path:
    """Kafka Connect as the example fetches it, once for all runs here."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        pytest.skip("the example of Kafka Connect needs Java and Maven")
    jars = EXAMPLE.parents[2] / ".build" / "connect"
    if not jars.exists():
        fetched = jars.with_name(f"connect-{uuid4().hex[:8]}")
        maven = ["mvn", "-q", "-B", "-f", str(EXAMPLE / "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*maven, f"-DoutputDirectory={fetched}"], check=True)
        fetched.rename(jars)
    return jars


@pytest.fixture
def connector(topics: Topics, connect_jars: Path) -> Iterator[Path]:
    """The example on the topics of this test; the file that it writes."""
    sink = topics.folder / "stream.ndjson"
    changed = {
        "bootstrap.servers": topics.kafka,
        "listeners": "http://127.0.0.1:0",
        "offset.storage.file.filename": str(topics.folder / "offsets"),
        "name": topics.sources[0].topic,
        "topics": topics.sources[0].topic,
        "file": str(sink),
    }
    for name in ("worker.properties", "sink.properties"):
        lines = (EXAMPLE / name).read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        settings |= {key: value for key, value in changed.items() if key in settings}
        (topics.folder / name).write_text("\n".join(f"{key}={value}" for key, value in settings.items()))
    jvm = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{connect_jars}/*"]
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    process = subprocess.Popen(
        [*jvm, main, "worker.properties", "sink.properties"],
        cwd=topics.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield sink
    process.kill()
    process.wait()


async def test_what_kafka_connect_delivers_counts_the_same(topics: Topics, connector: Path) -> None:
    events = sold(50)
    await topics.write(0, [*events, *events[:5]])

    def lines() -> list[str]:
        return connector.read_text().splitlines() if connector.exists() else []

    await until(lambda: len(lines()) == 55)
    warehouse = topics.open()
    records = [ReadRecord(0, nth, 0, line) for nth, line in enumerate(lines())]
    assert warehouse.add(STREAM, records, NOON) == 50
    assert warehouse.query("SELECT sum(issued), sum(sold) FROM money").rows == [(50, 50 * 450_000)]
    warehouse.close()

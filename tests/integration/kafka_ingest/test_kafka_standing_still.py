"""A broker that answers nothing for a while: a stopped process, as in a long pause of its host."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client

from kafka_ingest.marking import KAFKA
from tests.conftest import embedded_environment
from tests.integration.kafka_ingest.ingest_doors import make_neighbours, until_fails_again
from tests.integration.kafka_ingest.ingest_store import Store
from tests.unit.contracts.topic_records import order, payment

pytestmark = pytest.mark.integration


@contextmanager
def own_kafka() -> Iterator[tuple[str, psutil.Process]]:
    """A broker that no other test uses: its address and the process that a test may stop."""
    with tempfile.TemporaryDirectory(prefix="giftcert-kafka-", ignore_cleanup_errors=True) as state:
        process = subprocess.Popen(
            [sys.executable, "-m", "giftcert.embedded", "kafka", "--throw-away"],
            env={**embedded_environment(), "GIFTCERT_STATE_DIR": state},
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            with process.stdout as answer:
                line = answer.readline().decode()
            yield address_in(line), broker_of(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def address_in(line: str) -> str:
    address: str = json.loads(line)["kafka_bootstrap_servers"]
    return address


def broker_of(pid: int) -> psutil.Process:
    children = psutil.Process(pid).children(recursive=True)
    return next(child for child in children if "java" in child.name())


@pytest.mark.timeout(180)
async def test_kafka_stands_still_and_goes_on(
    store: Store, keyring_file: Path, fresh_database_url: str, temporal: Client
) -> None:
    with own_kafka() as (address, broker):
        addresses = {
            "database_url": fresh_database_url,
            "kafka": address,
            "temporal": temporal.service_client.config.target_host,
        }
        neighbours = await make_neighbours(store, keyring_file, addresses)
        async with neighbours, neighbours.door():
            await neighbours.order(order(orderId="IM-0", lines=[store.line()]))
            await neighbours.delivered(0, "OrderStated")
            broker.send_signal(signal.SIGSTOP)
            try:
                await until_fails_again(KAFKA, times=1)
            finally:
                broker.send_signal(signal.SIGCONT)
            await neighbours.payment(payment(orderId="IM-0"))
            await neighbours.delivered(0, "OrderStated", "PaymentCaptured")
            await neighbours.caught_up()

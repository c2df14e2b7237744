"""The rights that deploy/README.md gives at the topics, on a real broker: all that each process needs, and no more."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from command_runs import RunCommand
from confluent_kafka.admin import (  # type: ignore[attr-defined] # exported all the same
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from giftcert.kafka_connection import connection_options
from giftcert.settings import Settings
from giftcert.verification.stream import look_at_topic, read_stream
from giftcert.verification.violations import Findings
from kafka_ingest.consumer import make_consumer
from tests.embedded_environment import ROOT
from tests.state_folders import new_state_folder
from tests.tls_servers.certificates import Certificates
from tests.tls_servers.kafka import PASSWORD, tls_kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
INPUTS = ("All_SalesOrder", "All_Payments", "All_Clients")
STREAM = "GiftCertificates.Stream"
OWNERS = dict(zip(INPUTS, ("orders", "payments", "crm"), strict=True))
SERVICE = ("giftcert-setup", "giftcert-ingest", "giftcert-dispatch", "giftcert-worker")
PRINCIPALS = (*SERVICE, *OWNERS.values(), "bi", "stranger")


def documented() -> Iterator[AclBinding]:
    """Yield the rights as `kafka-acls.sh` would make them of the document's commands."""
    text = (ROOT / "deploy" / "README.md").read_text("utf-8")
    for command in re.findall(r"^acls (.+)$", text, re.MULTILINE):
        words = shlex.split(command)
        options = list(zip(words[::2], words[1::2], strict=True))
        [principal] = [value for name, value in options if name == "--allow-principal"]
        kinds = {"--topic": ResourceType.TOPIC, "--group": ResourceType.GROUP}
        for option, resource in options:
            for operation in (value for name, value in options if name == "--operation" and option in kinds):
                yield AclBinding(
                    *(kinds[option], resource, ResourcePatternType.LITERAL, principal, "*"),
                    AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()],
                    AclPermissionType.ALLOW,
                )


@pytest.fixture(scope="module")
async def listeners(certificates: Certificates) -> AsyncIterator[Mapping[str, str]]:
    """A broker that nobody may use but the documented principals; who made the topics is its administrator."""
    async with tls_kafka(new_state_folder("tls-kafka"), certificates, PRINCIPALS) as addresses:
        plain = addresses["PLAINTEXT"]
        admin = AIOKafkaAdminClient(bootstrap_servers=plain)
        await admin.start()
        await admin.create_topics([NewTopic(name, 1, 1) for name in INPUTS])
        await admin.close()
        broker = AdminClient({"bootstrap.servers": plain})  # gives up what it was asked when it is collected
        for answer in broker.create_acls(list(documented())).values():
            await asyncio.to_thread(answer.result)
        yield addresses


class Broker:
    """The broker as each principal reaches it."""

    def __init__(self, address: str, ca: Path) -> None:
        self.given: dict[str, Any] = {
            "kafka_bootstrap_servers": address,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_password": PASSWORD,
            "kafka_ssl_cafile": ca,
        }

    def settings_of(self, principal: str) -> Settings:
        return Settings(_env_file=None, kafka_sasl_username=principal, **self.given)

    async def write(self, principal: str, topic: str, *, idempotent: bool = True) -> None:
        options = connection_options(self.settings_of(principal))
        async with AIOKafkaProducer(**options, enable_idempotence=idempotent) as producer:
            await producer.send_and_wait(topic, b"{}", key=b"k")

    async def read(self, principal: str, topic: str, group: str | None) -> int:
        options = connection_options(self.settings_of(principal))
        consumer = AIOKafkaConsumer(topic, **options, group_id=group, auto_offset_reset="earliest")
        try:  # a context manager would leave open what is refused while it starts
            await consumer.start()
            return (await consumer.getone()).offset
        finally:
            await consumer.stop()


@pytest.fixture(scope="module")
async def broker(listeners: Mapping[str, str], certificates: Certificates) -> Broker:
    return Broker(listeners["PASSWORD"], certificates.ca)


@pytest.fixture
async def stream(broker: Broker, giftcert: RunCommand, fresh_database_url: str, temporal_address: str) -> str:
    """The stream as ``giftcert setup`` makes it with the rights of its own user."""
    given = {name: str(value) for name, value in broker.given.items()}
    servers = {"database_url": fresh_database_url, "temporal_address": temporal_address}
    namespace = f"rights-{uuid4().hex[:8]}"
    for _ in range(2):  # to make it, and to look whether it is as it should be
        done = await asyncio.to_thread(
            giftcert,
            "setup",
            kafka_sasl_username="giftcert-setup",
            temporal_namespace=namespace,
            **given,
            **servers,
        )
        assert done.returncode == 0, done.stderr
    return STREAM


@pytest.mark.usefixtures("stream")
async def test_each_process_can_do_its_work(broker: Broker) -> None:
    for topic, owner in OWNERS.items():
        await broker.write(owner, topic)
    consumer = make_consumer(broker.settings_of("giftcert-ingest"))
    consumer.subscribe(topics=INPUTS)
    async with consumer:
        taken: set[str] = set()
        while taken != set(INPUTS):
            taken |= {one.topic for one in await consumer.getmany(timeout_ms=1_000)}
        assert await consumer.end_offsets(consumer.assignment())
        await consumer.commit()
    await broker.write("giftcert-dispatch", STREAM)
    findings, read = Findings(), []

    async def take(records: Any, _total: int) -> None:
        read.extend(records)

    worker = broker.settings_of("giftcert-worker")
    await look_at_topic(worker, findings)
    await read_stream(connection_options(worker), STREAM, take)
    assert findings.hold
    assert read
    assert await broker.read("bi", STREAM, "bi") == 0


@pytest.mark.usefixtures("stream")
@pytest.mark.parametrize("topic", [*INPUTS, STREAM])
async def test_nobody_writes_a_topic_that_is_not_his(broker: Broker, topic: str) -> None:
    writer = OWNERS.get(topic, "giftcert-dispatch")
    for principal in PRINCIPALS:
        if principal != writer:
            with pytest.raises(TopicAuthorizationFailedError):  # idempotence alone takes a right to write
                await broker.write(principal, topic, idempotent=False)


@pytest.mark.usefixtures("stream")
async def test_nobody_else_reads_the_topics_or_takes_records_in_the_name_of_ingest(broker: Broker) -> None:
    for principal, topic in (("stranger", STREAM), ("bi", "All_SalesOrder"), ("orders", "All_Payments")):
        with pytest.raises(TopicAuthorizationFailedError):
            await broker.read(principal, topic, None)
    with pytest.raises(GroupAuthorizationFailedError):
        await broker.read("bi", STREAM, "giftcert-ingest")
